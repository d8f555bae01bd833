"""What serving local repositories brings along."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_who_has_no_bucket_never_imports_boto3() -> None:
    """It takes 0.25 s."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from repod import check, daemon, wiring\nfrom repod.config import parse\n"
        "from repod.serving import open_access, open_desk, open_shelves\n"
        'text = \'[signing]\\nkey = "k"\\n[[repository]]\\nname = "r"\\ninbox = "i"\\nstore = "s"\\n\'\n'
        "settings = parse(text, Path('/'))\n"
        "open_shelves(settings, open_desk()); open_access(settings)\n"
        "sys.exit('boto3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""Documents as people drop them into an inbox."""


def comps(*packages: str, group: str = "web") -> bytes:
    """A ``comps.xml`` with one group, all of whose packages are mandatory."""
    members = "".join(f'<packagereq type="mandatory">{name}</packagereq>' for name in packages)
    return (
        f"<comps><group><id>{group}</id><name>{group.title()}</name><description>d</description>"
        f"<uservisible>true</uservisible><packagelist>{members}</packagelist></group></comps>\n"
    ).encode()


def stream(name: str, *packages: str, module: str = "hi") -> bytes:
    """A ``modules.yaml`` with one module build, whose profile installs all that it names; ``packages`` are NEVRAs."""
    names = ", ".join(sorted({package.rsplit("-", 2)[0] for package in packages}))
    artifacts = "".join(f"    - {package}\n" for package in packages)
    return (
        f'---\ndocument: modulemd\nversion: 2\ndata:\n  name: {module}\n  stream: "{name}"\n  version: 1\n'
        "  context: c0ffee\n  arch: noarch\n  summary: s\n  description: d\n  license:\n    module: [MIT]\n"
        f"  profiles:\n    default:\n      rpms: [{names}]\n  artifacts:\n    rpms:\n{artifacts}...\n"
    ).encode()


def advisory(key: str, *packages: str, title: str = "a fix") -> bytes:
    """One security advisory in TOML; ``packages`` are NEVRAs."""
    return (
        f'id = "{key}"\ntype = "security"\nseverity = "important"\ntitle = "{title}"\nissued = 2026-01-31\n'
        f"packages = {list(packages)}\n"
    ).encode()


def papers(nevra: str) -> dict[str, bytes]:
    """One document of each kind about a package, by the names they are uploaded under."""
    name, version, release = nevra.rsplit("-", 2)
    return {
        f"{nevra}-comps.xml": comps(name, group=f"web-{version}"),
        f"{nevra}.modules.yaml": stream(version, f"{name}-0:{version}-{release}"),
        f"{nevra}.toml": advisory(f"LAB-{version}", nevra),
    }

# Bytecode for the Python that is here, once per transaction; what older versions left goes.
# Nobody who runs repod may write here, so that every start would else compile all of it.
find /usr/lib/repod/lib -name __pycache__ -type d -prune -exec rm -rf {} +
find /usr/lib/repod/lib -depth -type d -empty -delete
/usr/lib/repod/bin/python -I -m compileall -q -j 0 /usr/lib/repod/lib >/dev/null || :

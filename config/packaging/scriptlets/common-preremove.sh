if [ "$1" -eq 0 ]; then
    find /usr/lib/repod/lib -name __pycache__ -type d -prune -exec rm -rf {} +
fi

if [ "$1" -eq 0 ]; then
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload >/dev/null 2>&1 || :
    fi
    # What they remembered between two runs.
    rm -rf /var/lib/repod-agent /var/lib/repod-report
fi

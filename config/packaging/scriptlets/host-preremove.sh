if [ "$1" -eq 0 ]; then
    for unit in repod-report.path repod-report.timer repod-agent.timer repod-s3.socket; do
        systemctl --no-reload disable "$unit" >/dev/null 2>&1 || :
        if [ -d /run/systemd/system ]; then
            systemctl stop "$unit" || :
        fi
    done
    if [ -d /run/systemd/system ]; then
        systemctl stop repod-s3.service || :
    fi
fi

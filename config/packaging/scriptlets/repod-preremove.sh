if [ "$1" -eq 0 ]; then
    systemctl --no-reload disable repod.service >/dev/null 2>&1 || :
    if [ -d /run/systemd/system ]; then
        systemctl stop repod.service || :
    fi
fi

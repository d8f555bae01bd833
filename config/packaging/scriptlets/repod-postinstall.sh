systemd-sysusers repod.conf || :
systemd-tmpfiles --create repod.conf || :
if [ "$1" -eq 1 ]; then
    # Whether it is enabled is for the distribution and its owner to say.
    systemctl --no-reload preset repod.service >/dev/null 2>&1 || :
fi

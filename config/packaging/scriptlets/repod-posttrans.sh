# Once, when all parts of the new version are there. A publish that is at work is finished first, and nothing is lost
# by a stop; where it does not run, it stays so.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload >/dev/null 2>&1 || :
    systemctl try-restart repod.service || :
fi

if [ "$1" -eq 0 ]; then
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload >/dev/null 2>&1 || :
    fi
    # Caches and private copies. What else lies there is not repod's: a GnuPG home, files of tokens.
    for name in cache catalog signatures work; do
        rm -rf "/var/lib/repod/$name"
    done
    # Folders that it made, where nothing is in them. Repositories, arrivals, keys and the audit log stay.
    for folder in /srv/repod/inbox/rejected /srv/repod/inbox/el9-prod /srv/repod/inbox /srv/repod/www/el9-prod \
        /srv/repod/www /srv/repod /var/log/repod /var/lib/repod; do
        rmdir "$folder" 2>/dev/null || :
    done
fi

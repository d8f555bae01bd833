# What repoctl runs on a host: the text goes to `sh -s -- ACTION ARGUMENT...`, nothing is installed.
#
#   facts REPOSITORY[,REPOSITORY...] NAME...    what there is; NAME '*': all packages
#   start RUN STEP SECONDS BYTES ARGUMENT...    begins a command that outlives this connection, once; of its output
#                                               so many bytes are kept of the beginning and of the end
#   follow RUN STEP SECONDS                     waits so long for its end, and shows its output
#   steps RUN                                   which there are, and how each ended
#   put RUN FILE TEXT                           a file beside it
#   keys RUN FILE                               the same, with the keys that rpm trusts
#   packages                                    all packages, as `rpm -qa` prints them
#   same BOOT                                   whether the host was not restarted since
#   all COUNT ACTION ARGUMENT... COUNT ...      several of these in one answer, each of so many words; none follows one
#                                               that did not come to its end
#
# Answers are lines of fields with tabs between them, inside two marks: what log-in shells write is outside of them.
# POSIX sh with the tools of every host that has rpm: it runs under dash, bash and busybox.
set -u
umask 077
PATH=${PATH:-/usr/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C.UTF-8
export PATH LC_ALL
unset LANGUAGE

lasting=/var/lib/repod-run
fleeting=/run/repod-run
days=7
tab=$(printf '\t')
breaks=$(printf '\t\n\r')

# One line of fields; what would break it becomes a space.
say() {
    line=
    for field in "$@"; do
        # Most have nothing of the kind, and a process for each field takes its time.
        case $field in *["$breaks"]*) field=$(printf '%s' "$field" | tr '\t\n\r' '   ') ;; esac
        line=$line$tab$field
    done
    printf '%s\n' "${line#"$tab"}"
}

# The first word of a file, or nothing.
word() {
    head -n 1 "$1" 2>/dev/null | tr -cd 'A-Za-z0-9._-'
}

# --- facts

of_system() {
    for file in /etc/os-release /usr/lib/os-release; do
        [ -r "$file" ] || continue
        for key in ID VERSION_ID; do
            say os "$key" "$(sed -n "s/^$key=//p" "$file" | tr -d "\"'" | head -n 1)"
        done
        break
    done
    say arch "$(uname -m)"
    say boot "$(word /proc/sys/kernel/random/boot_id)"
    if [ -s /etc/machine-id ]; then
        say machine "$(printf 'repod %s' "$(word /etc/machine-id)" | sha256sum | cut -d ' ' -f 1)"
    fi
    df -Pk / /var /usr 2>/dev/null | awk 'NR > 1 && !seen[$6]++ { printf "free\t%s\t%s\n", $6, $4 }'
}

# A name may be a link to another tool: yum to dnf, dnf to dnf5.
of_tools() {
    for name in dnf dnf5 yum microdnf zypper tdnf; do
        found=$(command -v "$name" 2>/dev/null) || continue
        real=$(readlink -f "$found")
        version=$(rpm -q --qf '%{VERSION}\n' -f "$real" 2>/dev/null | head -n 1) || version=
        case $version in *' '*) version= ;; esac
        say tool "$name" "$real" "$version"
    done
    found=$(command -v needs-restarting 2>/dev/null) && say tool needs-restarting "$(readlink -f "$found")" ''
    # The plug-in of dnf 4; where its settings name other folders, it may be there.
    for file in /usr/lib*/python*/*-packages/dnf-plugins/needs_restarting.py; do
        [ -f "$file" ] || continue
        say tool dnf-needs-restarting "$file" ''
        return
    done
    grep -q '^[[:space:]]*pluginpath' /etc/dnf/dnf.conf 2>/dev/null && say tool dnf-needs-restarting /etc/dnf/dnf.conf ''
}

# Settings of repositories, without user names and passwords in their URLs.
of_repositories() {
    more=$(sed -n 's/^[[:space:]]*reposdir[[:space:]]*=//p' /etc/dnf/dnf.conf /etc/yum.conf 2>/dev/null | tr ',' ' ')
    set -f
    # shellcheck disable=SC2086 # folders, one word each
    set -- $more
    set +f
    for folder in /etc/yum.repos.d /etc/yum/repos.d /etc/distro.repos.d /usr/share/dnf5/repos.d "$@"; do
        settings yum "$folder"/*.repo
    done
    settings zypp /etc/zypp/repos.d/*.repo
    settings yum /etc/dnf/dnf.conf /etc/yum.conf
    settings zypp /etc/zypp/zypp.conf
}

settings() {
    kind=$1
    shift
    for file in "$@"; do
        [ -r "$file" ] || continue
        awk -v kind="$kind" -v wanted=",$repositories,main," '
            /^[[:space:]]*[#;]/ { next }
            /^[[:space:]]*\[/ {
                id = $0; sub(/^[[:space:]]*\[/, "", id); sub(/\].*/, "", id); key = ""
                mine = index(wanted, "," id ",") > 0
                if (mine && id != "main") printf "repository\t%s\t%s\t%s\n", kind, id, FILENAME
                next
            }
            !mine { next }
            /^[[:space:]]+[^[:space:]]/ && key != "" { value = $0 }
            /^[^[:space:]=]+[[:space:]]*=/ { key = $0; sub(/[[:space:]]*=.*/, "", key); value = $0; sub(/^[^=]*=/, "", value) }
            /^[[:space:]]*$/ { key = ""; next }
            key ~ /^(baseurl|mirrorlist|metalink|gpgkey|gpgcheck|repo_gpgcheck|pkg_gpgcheck|localpkg_gpgcheck|enabled|exclude|excludepkgs|includepkgs)$/ {
                gsub(/[\t\r]/, " ", value); gsub(/:\/\/[^\/ ]*@/, "://", value); sub(/^ +/, "", value); sub(/ +$/, "", value)
                printf "setting\t%s\t%s\t%s\t%s\n", kind, id, key, value
            }
        ' "$file"
    done
}

of_packages() {
    digest=
    rpm --querytags 2>/dev/null | grep -qx SHA256HEADER && digest='%{SHA256HEADER}'
    form="package\t%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t$digest\n"
    if [ "$#" -eq 1 ] && [ "$1" = '*' ]; then
        rpm -qa --qf "$form" 2>&1 | rpm_said
    elif [ "$#" -gt 0 ]; then
        rpm -q --qf "$form" "$@" 2>&1 | rpm_said
    fi
}

rpm_said() {
    awk '
        /^package\t/ { sub(/\t\(none\)$/, "\t"); print; next }
        /^package .* is not installed$/ { printf "missing\t%s\n", $2; next }
        /^error: / { gsub(/\t/, " "); printf "fault\t%s\n", $0 }
    '
}

# Who holds a lock of a package tool: by the files in which they write it, and by the kernel for that of rpm.
of_locks() {
    for file in /var/lib/dnf/rpmdb_lock.pid /var/cache/dnf/metadata_lock.pid /var/cache/dnf/download_lock.pid \
        /var/cache/dnf/modulefailsafe_lock.pid /run/dnf.pid /run/yum.pid /var/run/yum.pid /run/zypp.pid; do
        [ -s "$file" ] || continue
        holds "$(word "$file")" "$file"
    done
    # dnf 5 waits for its own without an end too, and one that only reads keeps it from writing.
    locked /var/lib/rpm/.rpm.lock WRITE
    locked /usr/lib/sysimage/rpm/.rpm.lock WRITE
    locked /var/lib/dnf/system-repo.lock .
}

locked() {
    node=$(stat -c %i "$1" 2>/dev/null) || return 0
    awk -v node="$node" -v how="$2" '$4 ~ how { split($6, place, ":"); if (place[3] == node) print $5 }' /proc/locks 2>/dev/null |
        while read -r pid; do holds "$pid" "$1"; done
}

holds() {
    case $1 in '' | *[!0-9]*) return ;; esac
    [ -d "/proc/$1" ] || return 0
    say lock "$1" "$({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | cut -c 1-200)" "$2"
}

# Which of these programs are not here. A container may have few, and an answer without them would look like another.
lacks() {
    any=1
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 && continue
        say lacks "$name"
        any=0
    done
    return "$any"
}

facts() {
    repositories=$1
    shift
    lacks awk cut date df find grep head readlink rpm sed sha256sum stat tail timeout tr wc && return
    of_system
    of_tools
    of_repositories
    of_packages "$@"
    of_locks
}

# --- steps that outlive a connection

# The folder of a run: where it already is, else where there is room.
place() {
    for base in "$lasting" "$fleeting"; do
        if [ -d "$base/$1" ]; then
            run=$base/$1
            return 0
        fi
    done
    for base in "$lasting" "$fleeting"; do
        run=$base/$1
        mkdir -p "$run" 2>/dev/null && printf 'room\n' >"$run/room" 2>/dev/null && [ -s "$run/room" ] && return 0
        rm -rf "$run"
    done
    say state noroom
    return 1
}

# Runs of which nothing was written for days.
forget() {
    for base in "$lasting" "$fleeting"; do
        [ -d "$base" ] && find "$base" -mindepth 1 -maxdepth 1 -type d -mtime "+$days" -exec rm -rf {} + 2>/dev/null
    done
}

# Begins the command once: who makes the folder `claim` runs it, all others find it taken.
runner() {
    cat <<'END'
set -u
step=$1 limit=$2 part=$3
shift 3
umask 022
mkdir "$step/claim" 2>/dev/null || exit 0
printf '%s\n' "$$" >"$step/pid"
cat /proc/sys/kernel/random/boot_id >"$step/boot" 2>/dev/null
date +%s >"$step/began"
: >"$step/output"
# The file is kept short: what is between its beginning and its end is dropped.
watch() {
    while sleep 1; do
        size=$(wc -c <"$step/output") || continue
        [ "$size" -gt $((part * 8)) ] || continue
        [ -f "$step/head" ] || head -c "$part" "$step/output" >"$step/head"
        tail -c "$part" "$step/output" >"$step/tail.new" && mv "$step/tail.new" "$step/tail"
        : >"$step/output"
        echo "$size" >>"$step/dropped"
    done
}
watch &
watcher=$!
timeout -k 30 "$limit" "$@" </dev/null >>"$step/output" 2>&1
code=$?
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
date +%s >"$step/ended"
echo "$code" >"$step/code.new" && mv "$step/code.new" "$step/code"
exit 0
END
}

start() {
    went=
    place "$1" || return 0
    unit=repod-$1-$2
    step=$run/$2
    limit=$3
    part=$4
    shift 4
    forget
    if ! { mkdir -p "$step" && echo "$part" >"$step/part" && runner >"$step/run.sh.$$" && mv "$step/run.sh.$$" "$step/run.sh"; } 2>/dev/null; then
        say state noroom
        return
    fi
    if [ ! -d "$step/claim" ]; then
        detached "$unit" "$step" "$limit" "$part" "$@"
        tries=0
        # It is told as dead while its process id and boot are not written yet.
        while [ ! -s "$step/boot" ] && [ "$tries" -lt 400 ]; do
            sleep 0.025
            tries=$((tries + 1))
        done
    fi
    [ -d "$step/claim" ] || { say state unstarted; return; }
    say state started
    went=yes
}

# Under systemd it gets a unit of its own: a package that restarts what brought the connection ends not this.
detached() {
    unit=$1 script=$2/run.sh
    shift
    if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1; then
        # What scriptlets leave running goes on, as it does elsewhere.
        systemd-run --quiet --unit="$unit" --property=KillMode=process \
            --setenv=PATH="$PATH" --setenv=LC_ALL="$LC_ALL" \
            sh "$script" "$@" >/dev/null 2>&1 </dev/null && return 0
    fi
    cd / || return 0
    setsid sh "$script" "$@" >/dev/null 2>&1 </dev/null &
}

alive() {
    pid=$(word "$step/pid")
    [ -n "$pid" ] && [ "$(word "$step/boot")" = "$(word /proc/sys/kernel/random/boot_id)" ] || return 1
    # Within braces: that a process is gone is said by the shell, before the redirections of a command hold.
    { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$step/run.sh"
}

follow() {
    went=
    run=$fleeting/$1
    [ -d "$lasting/$1/$2" ] && run=$lasting/$1
    step=$run/$2
    [ -d "$step/claim" ] || { say state unknown; return; }
    end=$(($(date +%s) + $3))
    while [ ! -f "$step/code" ] && [ "$(date +%s)" -lt "$end" ]; do
        alive || { [ -f "$step/pid" ] && sleep 1 && break; }
        for _ in 1 2 3 4; do
            [ -f "$step/code" ] || sleep 0.05
        done
    done
    if [ -f "$step/code" ]; then
        went=yes
        say state ended "$(word "$step/code")"
        say took "$(word "$step/began")" "$(word "$step/ended")"
        output
    elif alive; then
        say state running
        say took "$(word "$step/began")" "$(date +%s)"
        [ -f "$step/output" ] && tail -c 2000 "$step/output" | sed 's/^/|/'
        printf '\n'
    else
        say state died
        output
    fi
    [ "$(word "$step/code")" = 0 ] || of_locks
}

# The beginning and the end, each line behind a bar.
output() {
    part=$(word "$step/part")
    if [ -f "$step/head" ]; then
        sed 's/^/|/' "$step/head"
        printf '\n|... %s bytes left out ...\n' "$(awk '{ sum += $1 } END { print sum }' "$step/dropped")"
        { cat "$step/tail" && cat "$step/output"; } | tail -c "$part" | sed 's/^/|/'
    else
        size=$(wc -c <"$step/output")
        if [ "$size" -gt $((part * 2)) ]; then
            head -c "$part" "$step/output" | sed 's/^/|/'
            printf '\n|... %s bytes left out ...\n' $((size - part * 2))
            tail -c "$part" "$step/output" | sed 's/^/|/'
        else
            sed 's/^/|/' "$step/output"
        fi
    fi
    printf '\n'
}

steps() {
    for base in "$lasting" "$fleeting"; do
        for step in "$base/$1"/*/; do
            step=${step%/}
            [ -d "$step/claim" ] || continue
            if [ -f "$step/code" ]; then
                say step "${step##*/}" ended "$(word "$step/code")"
            elif alive; then
                say step "${step##*/}" running ''
            else
                say step "${step##*/}" died ''
            fi
        done
    done
}

put() {
    place "$1" || return 0
    if { printf '%s\n' "$3" >"$run/$2.new" && mv "$run/$2.new" "$run/$2"; } 2>/dev/null; then
        say state put "$run/$2"
    else
        say state noroom
    fi
}

keys() {
    place "$1" || return 0
    if rpm -qa gpg-pubkey --qf '%{DESCRIPTION}\n' 2>/dev/null >"$run/$2" && [ -s "$run/$2" ]; then
        say state put "$run/$2"
    else
        say state none
    fi
}

packages() {
    rpm -qa 2>/dev/null && say state listed
}

same() {
    [ "$(word /proc/sys/kernel/random/boot_id)" = "$1" ] && return
    went=
    say state restarted
}

all() {
    went=yes
    while [ "$#" -gt 1 ] && [ -n "$went" ]; do
        say part "$2"
        first "$@"
        shift "$(($1 + 1))"
    done
}

# Carries out the first so many words.
first() {
    left=$1
    shift
    for argument in "$@"; do
        shift
        [ "$left" -gt 0 ] && set -- "$@" "$argument"
        left=$((left - 1))
    done
    act "$@"
}

act() {
    action=$1
    shift
    case $action in
    facts) facts "$@" ;;
    start) start "$@" ;;
    follow) follow "$@" ;;
    put) put "$@" ;;
    keys) keys "$@" ;;
    steps) steps "$@" ;;
    packages) packages ;;
    same) same "$@" ;;
    all) all "$@" ;;
    *) say state wrong "$action" ;;
    esac
}

main() {
    printf '\n@@repod-begin@@\n'
    act "$@"
    printf '@@repod-end@@\n'
}

# All of the text is read before anything runs: a part of it does nothing.
main "$@" </dev/null
exit 0

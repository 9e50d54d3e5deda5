# What the agents of provider "pacemaker" share. Sourced, never run. POSIX shell.
#
# The helper library of the package resource-agents is used when it is installed (administrators
# know its log lines); what it would provide is defined here when it is not, so that these agents
# need no other package.

: "${OCF_ROOT:=/usr/lib/ocf}"
: "${OCF_FUNCTIONS_DIR:=$OCF_ROOT/lib/heartbeat}"
if [ -r "$OCF_FUNCTIONS_DIR/ocf-shellfuncs" ]; then
    . "$OCF_FUNCTIONS_DIR/ocf-shellfuncs"
else
    OCF_SUCCESS=0 OCF_ERR_GENERIC=1 OCF_ERR_ARGS=2 OCF_ERR_UNIMPLEMENTED=3 OCF_ERR_PERM=4
    OCF_ERR_INSTALLED=5 OCF_ERR_CONFIGURED=6 OCF_NOT_RUNNING=7 OCF_RUNNING_MASTER=8
    OCF_FAILED_MASTER=9 OCF_DEGRADED=190
    ocf_log() {
        level=$1
        shift
        if command -v logger >/dev/null 2>&1; then
            case $level in
                warn) level=warning ;;
                err | error) level=err ;;
                info | notice | debug | crit | warning) ;;
                *) level=notice ;;
            esac
            logger -t "${0##*/}($OCF_RESOURCE_INSTANCE)" -p "${HA_LOGFACILITY:-daemon}.$level" -- "$*" 2>/dev/null || :
        else
            echo "$level: $*" >&2
        fi
    }
    ocf_exit_reason() {
        echo "${OCF_EXIT_REASON_PREFIX:-ocf-exit-reason:}$*" >&2
    }
    ocf_is_true() {
        case $1 in
            [Yy][Ee][Ss] | [Yy] | [Tt][Rr][Uu][Ee] | [Oo][Nn] | 1) return 0 ;;
        esac
        return 1
    }
    have_binary() {
        command -v "$1" >/dev/null 2>&1
    }
fi
: "${HA_VARRUN:=/var/run}"
HA_VARRUN=${HA_VARRUN%/}
: "${OCF_RESOURCE_INSTANCE:=default}"

# The instance's name for files: anonymous clone instances share one without number.
instance_name() {
    if ocf_is_true "${OCF_RESKEY_CRM_meta_globally_unique:-false}"; then
        echo "$OCF_RESOURCE_INSTANCE"
    else
        echo "${OCF_RESOURCE_INSTANCE%:*}"
    fi
}

is_number() {
    case $1 in
        '' | *[!0-9]*) return 1 ;;
    esac
    return 0
}

# Whether a file could be made in the directory of a path.
can_write_beside() {
    dir=$(dirname "$1")
    [ -d "$dir" ] && [ -w "$dir" ] && [ -x "$dir" ]
}

# ---- metadata ----------------------------------------------------------------------------------

# md_begin NAME VERSION SHORT LONG [API]
md_begin() {
    cat <<MD
<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="$1" version="$2">
<version>${5:-1.1}</version>
<longdesc lang="en">
$4
</longdesc>
<shortdesc lang="en">$3</shortdesc>
<parameters>
MD
}

# md_param NAME ATTRIBUTES TYPE DEFAULT SHORT LONG; DEFAULT "-" means that there is none.
md_param() {
    if [ "$4" = - ]; then default=; else default=" default=\"$4\""; fi
    cat <<MD
<parameter name="$1"${2:+ $2}>
<longdesc lang="en">
$6
</longdesc>
<shortdesc lang="en">$5</shortdesc>
<content type="$3"$default/>
</parameter>
MD
}

md_actions() {
    echo "</parameters>"
    echo "<actions>"
}

# md_action NAME TIMEOUT [ATTRIBUTES]
md_action() {
    echo "<action name=\"$1\" timeout=\"$2\"${3:+ $3}/>"
}

md_end() {
    echo "</actions>"
    echo "</resource-agent>"
}

# ---- dispatch ----------------------------------------------------------------------------------

usage() {
    echo "usage: ${0##*/} {$1}"
}

# Purpose: say who the login is and which way leads to root.
# Arguments: none.
# Output: uid=N, unprivileged=1, sudo=root|refused, sudo_says=TEXT, doas=root|refused, doas_says=TEXT.
# Exit: 0.
printf 'uid=%s\n' "$(id -u)"
if [ "${NSMIG_UNPRIVILEGED:-}" = 1 ]; then
    echo unprivileged=1
fi

# Ask for the very command that is used later: an account may be allowed that and nothing else. With -k, sudo
# lets a password that was given a while ago not count: it would run out in the middle of the work.
for tool in sudo doas; do
    command -v "$tool" >/dev/null 2>&1 || continue
    forget=
    if [ "$tool" = sudo ]; then forget=-k; fi
    says=$("$tool" $forget -n /bin/sh -c 'id -u' 2>&1 </dev/null)
    case "
$says" in
    *"
0") printf '%s=root\n' "$tool" ;;
    *)
        printf '%s=refused\n' "$tool"
        printf '%s_says=%s\n' "$tool" "$(printf %s "$says" | tr '\n\r' '  ' | cut -c 1-400)"
        ;;
    esac
done
exit 0

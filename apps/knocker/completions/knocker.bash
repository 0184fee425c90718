# bash completion for knocker(1). It asks the command itself what there is, so that it cannot be out of date.

# What stands in the database: _knocker_names endpoints|providers
_knocker_names() {
	local where=() at
	for ((at = 1; at < COMP_CWORD - 1; at++)); do
		[[ $1 == endpoints && ${COMP_WORDS[at]} == --db ]] && where=(--db "${COMP_WORDS[at + 1]}")
	done
	"${COMP_WORDS[0]}" "$1" --json "${where[@]}" 2>/dev/null | sed -n 's/^{\("id":[0-9]*,\)\{0,1\}"name":"\([^"\\]*\)".*/\2/p'
}

_knocker_commands() {
	"${COMP_WORDS[0]}" help 2>/dev/null | sed -n '/^Usage/,/^Exit/s/^  \([a-z][a-z-]*\) .*/\1/p'
}

_knocker() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} words= options IFS=$'\n'
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		words=$(_knocker_commands)$'\n--help\n--version'
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
		return
	fi
	options=$("${COMP_WORDS[0]}" help "$command" 2>/dev/null)
	case $previous in
	--db | --scheme | --secret-file | --body | --check)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
		return
		;;
	--secret-env)
		mapfile -t COMPREPLY < <(compgen -e -- "$current")
		return
		;;
	--status) words=$'received\nprocessing\nhandled\nfailed\ndead\nignored' ;;
	--kind) words=$'prune_events\nprune_orphan_deliveries' ;;
	--method) words=$'POST\nGET\nPUT\nPATCH\nDELETE' ;;
	--endpoint) words=$(_knocker_names endpoints) ;;
	--provider) words=$(_knocker_names providers) ;;
	*)
		# Nothing can be proposed for any other value.
		[[ $previous == --* ]] && grep -q "^  $previous [^ ]" <<<"$options" && return
		words=$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' <<<"$options")
		case $command in
		pause | resume) words+=$'\n'$(_knocker_names endpoints) ;;
		prune) words+=$'\nevents\norphans' ;;
		emulate) words+=$'\n'$(_knocker_names providers) ;;
		help) words+=$'\n'$(_knocker_commands) ;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _knocker knocker

import { flagOf } from '@fastkeep/engine'
import type { Command, Operand } from './command.js'
import { FLAG_TEXTS } from './command-options.js'
import { flagsOf } from './help.js'

type Script = (commands: readonly Command[]) => string

/** `'it'\''s'` for a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const wordsOf = (operand: Operand | undefined): readonly string[] => Array.isArray(operand?.completes) ? operand.completes as string[] : []

const flagNames = (command: Command): string[] => ['--help', ...flagsOf(command).map(({ path }) => flagOf(path))]

const bash: Script = commands => `_fastkeep () {
  local word="\${COMP_WORDS[COMP_CWORD]}" words=''
  if (( COMP_CWORD == 1 )); then
    words=${quoted([...commands.map(({ name }) => name), '--help', '--version'].join(' '))}
  else
    case "\${COMP_WORDS[1]}" in
${commands.map(command => `      ${command.name}) words=${quoted([...flagNames(command), ...wordsOf(command.operands?.[0])].join(' '))} ;;`).join('\n')}
    esac
  fi
  [[ "$word" == -* || COMP_CWORD -eq 1 || "\${COMP_WORDS[1]}" == completion ]] && COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _fastkeep fastkeep`

const zsh: Script = commands => `#compdef fastkeep
_fastkeep () {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "\${words[2]}" in
${commands.map(command => `    ${command.name}) _arguments '--help[show its help]' ${flagsOf(command).map(({ path, isBoolean }) => quoted(`${flagOf(path)}[${textOf(path)}]${isBoolean ? '' : ':value:_files'}`)).join(' ')} ${quoted(`*:operand:${wordsOf(command.operands?.[0]).length > 0 ? `(${wordsOf(command.operands?.[0]).join(' ')})` : '_files'}`)} ;;`).join('\n')}
  esac
}
compdef _fastkeep fastkeep`

const fish: Script = commands => [
  `complete -c fastkeep -n __fish_use_subcommand -f -a ${quoted(commands.map(({ name }) => name).join(' '))}`,
  ...commands.flatMap(command => [
    `complete -c fastkeep -n __fish_use_subcommand -f -a ${command.name} -d ${quoted(command.summary)}`,
    ...flagsOf(command).map(({ path, isBoolean }) => `complete -c fastkeep -n '__fish_seen_subcommand_from ${command.name}' -l ${flagOf(path).slice(2)}${isBoolean ? '' : ' -r'} -d ${quoted(FLAG_TEXTS[path] ?? '')}`),
    ...wordsOf(command.operands?.[0]).length === 0 ? [] : [`complete -c fastkeep -n '__fish_seen_subcommand_from ${command.name}' -f -a ${quoted(wordsOf(command.operands?.[0]).join(' '))}`],
  ]),
].join('\n')

const SCRIPTS: Readonly<Record<string, Script>> = { bash, zsh, fish }

export const SHELLS = Object.keys(SCRIPTS)

/** The script that has a shell complete `fastkeep`; `undefined` for a shell that there is none for. */
export function completionScript (shell: string, commands: readonly Command[]): string | undefined {
  return Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell]?.(commands) : undefined
}

/** Brackets and colons end a description in zsh. */
function textOf (path: string): string {
  return (FLAG_TEXTS[path] ?? '').replace(/[[\]:]/g, ' ')
}

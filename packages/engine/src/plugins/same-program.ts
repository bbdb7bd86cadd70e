import { DaemonUnsupported } from './daemonizer-errors.js'

/** How a Node process was started, as `process` tells it. */
export interface ProgramStart {
  readonly execPath: string
  readonly execArgv: readonly string[]
  readonly argv: readonly string[]
  /** Whether it is a single executable application, which has no main file and takes no options of Node. */
  readonly isSea: boolean
}

/** Flags that belong to one process: two inspectors would ask for one port, and a watcher or test runner has one child. */
const OF_ONE_PROCESS = /^--(inspect|debug-port|watch|test)(-|=|$)/
const WITHOUT_VALUE = new Set([
  '--inspect', '--inspect-brk', '--inspect-wait', '--watch', '--watch-preserve-output',
  '--test', '--test-only', '--test-force-exit', '--test-update-snapshots',
])
const VARIABLES_OF_ONE_PROCESS = ['WATCH_REPORT_DEPENDENCIES', 'NODE_TEST_CONTEXT']

/** Flags with which Node runs something else than a file. */
const WITHOUT_FILE = /^(-e|--eval|-p|-pe|--print|-i|--interactive)(=|$)/

/**
 * The arguments that run the program of this process once more.
 *
 * @param preload a module that Node imports before any other one
 * @throws `FST_KEEP_ENGINE_DAEMON_UNSUPPORTED` if it was not started from a file
 * @example
 * sameProgram({ execPath: 'node', execArgv: ['--import', 'tsx', '--inspect'], argv: ['node', '/srv/main.ts', '-v'], isSea: false })
 * // ['--import', 'tsx', '/srv/main.ts', '-v']
 */
export function sameProgram ({ execArgv, argv, isSea }: ProgramStart, preload?: string): string[] {
  if (isSea) return argv.slice(2)
  const [, file, ...args] = argv
  if (file === undefined || file === '-' || execArgv.some(flag => WITHOUT_FILE.test(flag))) {
    throw new DaemonUnsupported('the program came from standard input, -e or -p, so that it cannot be run anew; put it into a file')
  }
  const preloading = preload === undefined ? [] : [`--import=${preload}`]
  return [...preloading, ...withoutFlagsOfOneProcess(execArgv), file, ...args]
}

/** The environment for another process that runs the same program. */
export function sameEnvironment (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: options, ...rest } = environment
  for (const name of VARIABLES_OF_ONE_PROCESS) delete rest[name]
  if (options === undefined) return rest
  const flags = options.match(/(?:"(?:\\.|[^"])*"|[^\s"])+/g) ?? []
  return { ...rest, NODE_OPTIONS: withoutFlagsOfOneProcess(flags).join(' ') }
}

function withoutFlagsOfOneProcess (flags: readonly string[]): string[] {
  const kept: string[] = []
  let isValueOfDropped = false
  for (const flag of flags) {
    const name = flag.replaceAll('_', '-')
    const isDropped: boolean = isValueOfDropped || OF_ONE_PROCESS.test(name)
    if (!isDropped) kept.push(flag)
    isValueOfDropped = !isValueOfDropped && isDropped && !flag.includes('=') && !WITHOUT_VALUE.has(name)
  }
  return kept
}

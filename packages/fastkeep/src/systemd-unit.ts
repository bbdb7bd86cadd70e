import { availableParallelism } from 'node:os'
import { basename, dirname, resolve } from 'node:path'
import { DEFAULT_DRAIN } from '@fastkeep/engine'
import type { CommandOptions } from './command-options.js'
import type { Configuration } from './configuration.js'
import { flagArguments } from './flag-arguments.js'
import { listenersOf } from './make-supervisor.js'

/** How this command was started: the unit starts it in the same way. */
export interface Program {
  readonly node: string
  readonly execArgv: readonly string[]
  readonly program: string
  readonly directory: string
}

/**
 * The directories of a service's own, which systemd makes for its user.
 *
 * @see https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#RuntimeDirectory=
 */
const OWN_DIRECTORIES = [['/run', 'RuntimeDirectory'], ['/var/log', 'LogsDirectory'], ['/var/lib', 'StateDirectory']] as const

/** What the unit says in systemd's own words. */
const IN_UNIT = new Set(['user', 'group', 'umask', 'daemon', 'pidFile', 'config'])

/** s between the longest that something takes and the moment when systemd kills. */
const MARGIN = 10

/** ms: the default of `readyTimeout` and of `restartTimeout`. */
const START_PATIENCE = 60_000

/** ms for which a replaced process keeps idle connections unless told otherwise: Fastify's `keepAliveTimeout`. */
const RESTART_IDLE_WINDOW = 72_000

const HIGHEST_PRIVILEGED_PORT = 1023

/** Where a version manager may have put Node, too. */
const HOME = /^\/(home|root|run\/user)(\/|$)/

/**
 * The hardening that any service on Node takes. No MemoryDenyWriteExecute: V8 compiles to machine code at run time.
 *
 * @see https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
 */
const SANDBOX = [
  'NoNewPrivileges=yes',
  'ProtectSystem=strict',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'ProtectClock=yes',
  'ProtectControlGroups=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectProc=invisible',
  '# Fastify asks for the addresses of the interfaces when it listens on all of them.',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'RemoveIPC=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallErrorNumber=EPERM',
]

/**
 * A systemd unit for an app: started unprivileged from the beginning, with the capability to bind its port only if it
 * needs one, and with places to write to only where the configuration names some.
 *
 * @example systemdUnit('app.js', await readConfiguration([]), { node: '/usr/bin/node', execArgv: [], program: '/usr/bin/fastkeep', directory: '/srv/shop' })
 */
export function systemdUnit (app: string, { options, effective, file }: Pick<Configuration, 'options' | 'effective' | 'file'>, { node, execArgv, program, directory }: Program): string {
  const name = basename(directory).replace(/[^\w.-]/g, '-') || 'app'
  const pidFile = resolve(directory, options.pidFile ?? `/run/${name}/${name}.pid`)
  const command = [node, ...execArgv, resolve(directory, program)]
  const given = flagArguments(effective.filter(({ source, path }) => {
    return (source === 'flags' || source === 'environment') && !IN_UNIT.has(path) && !path.startsWith('daemon.')
  }))
  const config = file === undefined ? [] : ['--config', resolve(directory, file)]
  const start = [...command, 'start', resolve(directory, app), ...config, '--pid-file', pidFile, '--no-daemon', ...given]
  const controlSocket = options.controlSocket === false ? 'none' : resolve(directory, options.controlSocket || `${pidFile}.sock`)
  const service = ['--pid-file', pidFile, '--control-socket', controlSocket]
  const { user, group, umask = 0o027, drain, logFiles = [], log } = options
  const listeners = listenersOf(options)
  const { delay, deadline, restartIdleWindow = RESTART_IDLE_WINDOW } = { ...DEFAULT_DRAIN, ...drain }
  const needsCapability = listeners.some(({ path, port = 0 }) => path === undefined && port > 0 && port <= HIGHEST_PRIVILEGED_PORT)
  const written = [pidFile, options.controlSocket === false ? [] : controlSocket, log ?? [], logFiles, listeners.flatMap(({ path = [] }) => path)].flat()
  const directories = new Set(written.map(one => dirname(resolve(directory, one))))
  const own = OWN_DIRECTORIES.filter(([parent]) => directories.delete(`${parent}/${name}`))
  return [
    '[Unit]',
    `Description=${escape(name)}, served by fastkeep`,
    'Wants=network-online.target',
    'After=network-online.target',
    '# What the service waits for may come back after minutes.',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=notify',
    '# A successor tells that it is ready, too.',
    'NotifyAccess=all',
    'WatchdogSec=30',
    `ExecStart=${line(start)}`,
    ...controlSocket === 'none'
      ? ['ExecReload=/bin/kill -s HUP $MAINPID']
      : ['# Waits until the new processes serve, and fails if they do not come to.', `ExecReload=${line([...command, 'reload', ...service])}`],
    '# After "fastkeep restart" systemd alone would not wait for the drain. Its outcome is the exit code of the service.',
    `ExecStop=-${line([...command, 'stop', ...service])}`,
    `WorkingDirectory=${escape(directory)}`,
    ...user === undefined ? ['DynamicUser=yes'] : [`User=${user}`, ...group === undefined ? [] : [`Group=${group}`]],
    ...own.map(([, setting]) => `${setting}=${name}`),
    `UMask=${umask.toString(8).padStart(4, '0')}`,
    'Environment=NODE_ENV=production',
    'Restart=on-failure',
    'RestartSec=2',
    '# A wrong command line, missing privileges and a wrong configuration do not mend themselves.',
    'RestartPreventExitStatus=64 77 78',
    'KillMode=mixed',
    '# A worker that the kernel kills for want of memory is replaced; the others go on.',
    'OOMPolicy=continue',
    '# A reload may wait for older processes that still drain, and then for each new one.',
    `TimeoutStartSec=${seconds(restartIdleWindow + deadline + longestStart(options))}`,
    `# The drain takes ${(delay + deadline) / 1000} s at most.`,
    `TimeoutStopSec=${seconds(delay + deadline)}`,
    '',
    ...SANDBOX,
    `ProtectHome=${[app, program, node].some(path => HOME.test(resolve(directory, path))) ? 'read-only' : 'yes'}`,
    `CapabilityBoundingSet=${needsCapability ? 'CAP_NET_BIND_SERVICE' : ''}`,
    `AmbientCapabilities=${needsCapability ? 'CAP_NET_BIND_SERVICE' : ''}`,
    ...directories.size === 0 ? [] : [`ReadWritePaths=${[...directories].map(quote).join(' ')}`],
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ].join('\n')
}

/** Of all processes that serve, one after the other, in ms. */
function longestStart ({ workers, readyTimeout = START_PATIENCE, restartTimeout = START_PATIENCE }: CommandOptions): number {
  if (workers === undefined) return restartTimeout
  return (workers === 'auto' ? availableParallelism() : workers) * readyTimeout
}

/** Of systemd's patience for something that takes so many ms at most. */
function seconds (longest: number): number {
  return Math.ceil(longest / 1000) + MARGIN
}

function line (words: readonly string[]): string {
  return words.map(quote).join(' ')
}

/** One word of a command line, as systemd.service(5) and systemd.syntax(7) read it. */
function quote (word: string): string {
  const escaped = escape(word).replaceAll('$', '$$$$')
  return /^[\w/.,:=@%+$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** `%` begins a specifier. */
function escape (text: string): string {
  return text.replaceAll('%', '%%').replace(/[\r\n]/g, ' ')
}

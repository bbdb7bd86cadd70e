import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import net from 'node:net'
import { once } from 'node:events'
import { dirname, resolve } from 'node:path'
import {
  describeAccount, DropPrivileges, defaultControlSocket, Engine, ExitCode, readPIDFile, requestControl, resolveAccount,
  type ListenOptions,
} from '@fastkeep/engine'
import { contextFindings } from './certificate-check.js'
import type { CheckedApp } from './check-app.js'
import type { CommandOptions } from './command-options.js'
import { CHECK_APP } from './entries.js'
import type { Finding } from './finding.js'
import { listenersOf } from './make-supervisor.js'
import { assertTrusted } from './trusted-paths.js'

type CheckResult = string | undefined | readonly Finding[]

/** What a check has found; it throws what stands against a start, with its exit code. */
export interface Check {
  readonly name: string
  /** @returns what is well; `undefined` where there is nothing to check; several findings where there are */
  run (options: CommandOptions, app: string | undefined): CheckResult | Promise<CheckResult>
}

/** What a check refuses. */
class Refusal extends Error {
  readonly exitCode: number

  constructor (exitCode: number, message: string, cause?: unknown) {
    super(message, { cause })
    this.exitCode = exitCode
  }
}

/** ms for an app to be loaded. */
const LOAD_PATIENCE = 60_000

/** Ends a start after what it checks before it touches anything. */
class Checked extends Error {}

/** In the order in which a start would meet them. */
export const CHECKS: readonly Check[] = [
  { name: 'permissions', run: checkTrust },
  { name: 'user', run: checkUser },
  { name: 'secrets', run: checkSecrets },
  { name: 'PID file', run: checkPIDFile },
  { name: 'control socket', run: checkControlSocket },
  { name: 'address', run: checkAddress },
  { name: 'app', run: checkApp },
]

function checkTrust (_options: CommandOptions, app: string | undefined): string | undefined {
  if (app === undefined || process.geteuid?.() !== 0) return undefined
  assertTrusted(app)
  return 'only root can change the app'
}

const AS_ROOT: Finding = { check: 'user', isGood: true, isWarning: true, message: 'none: the service would run as root; name one by --user, or have systemd start it as one', exitCode: ExitCode.OK }

/** What `DropPrivileges` itself checks before a start touches anything. */
async function checkUser ({ user, group, mustRead = [], secrets = [], workers, logFiles }: CommandOptions): Promise<CheckResult> {
  if (user === undefined) return process.geteuid?.() === 0 ? [AS_ROOT] : undefined
  const engine = new Engine()
  const readable = workers === undefined ? [...mustRead, ...secrets] : mustRead
  new DropPrivileges(engine, { user, ...group === undefined ? {} : { group }, readable }).subscribe()
  engine.subscribe('start', () => { throw new Checked() }, { priority: 6 })
  try {
    await engine.start()
  } catch (error) {
    const { cause } = error as { cause?: unknown }
    if (!(cause instanceof Checked)) throw cause
  }
  for (const file of logFiles ?? []) assertAccess(file, constants.F_OK, 'must exist')
  return describeAccount(resolveAccount(user, group))
}

/** One process reads them as its user, which is part of that check. */
function checkSecrets ({ secrets = [], workers, user }: CommandOptions): string | undefined {
  if (workers === undefined || secrets.length === 0) return undefined
  for (const path of secrets) {
    if (user !== undefined && process.geteuid?.() === 0) assertTrusted(path)
    try {
      accessSync(path, constants.R_OK)
    } catch (cause) {
      throw new Refusal(ExitCode.CONFIG, `the supervisor cannot read ${path}: ${(cause as NodeJS.ErrnoException).code}`, cause)
    }
  }
  return `the supervisor can read ${secrets.join(', ')}`
}

function checkPIDFile ({ pidFile }: CommandOptions): string | undefined {
  if (pidFile === undefined) return undefined
  const file = readPIDFile(pidFile)
  if (file.state === 'running') throw new Refusal(ExitCode.CANNOT_CREATE, `${pidFile} is held by process ${file.pid}`)
  assertAccess(dirname(resolve(pidFile)), constants.W_OK | constants.X_OK, 'must be writable for the PID file')
  return file.state === 'stale' ? `${pidFile} is stale and would be replaced: ${file.reason}` : `${pidFile} can be made`
}

async function checkControlSocket ({ pidFile, controlSocket = defaultControlSocket(pidFile) }: CommandOptions): Promise<string | undefined> {
  if (typeof controlSocket !== 'string') return undefined
  const error = await requestControl(resolve(controlSocket), 'status').then(() => undefined, (failure: { code?: string }) => failure)
  if (error?.code !== 'FST_KEEP_ENGINE_CONTROL_UNAVAILABLE') throw new Refusal(ExitCode.CANNOT_CREATE, `another process answers on ${controlSocket}`)
  assertAccess(dirname(resolve(controlSocket)), constants.W_OK | constants.X_OK, 'must be writable for the control socket')
  return `${controlSocket} can be made`
}

/** Each address is taken for a moment; who connects just then is closed. */
async function checkAddress (options: CommandOptions): Promise<string> {
  const found: string[] = []
  for (const listener of listenersOf(options)) found.push(await checkListener(listener))
  return found.join('; ')
}

async function checkListener ({ path, port = 0, host = '127.0.0.1' }: ListenOptions): Promise<string> {
  if (path !== undefined) {
    assertAccess(dirname(resolve(path)), constants.W_OK | constants.X_OK, 'must be writable for the unix socket')
    return `unix:${path}`
  }
  const hosts = [host].flat()
  for (const name of hosts) {
    const server = net.createServer(socket => socket.destroy()).listen({ port, host: name, exclusive: true })
    try {
      await once(server, 'listening')
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      const why = code === 'EADDRINUSE' ? 'another process listens there' : code === 'EACCES' ? 'ports below 1024 need root or CAP_NET_BIND_SERVICE' : message
      throw new Refusal(ExitCode.OS, `cannot listen on ${name}, port ${port}: ${why}`, cause)
    }
    await new Promise(resolve => server.close(resolve))
  }
  return port === 0 ? `${hosts.join(', ')}, a port that the system chooses` : `${hosts.join(', ')}, port ${port}`
}

/** In a process of its own, as the user that the service would run as. */
function checkApp ({ user, group, import: imports = [] }: CommandOptions, app: string | undefined): CheckResult {
  if (app === undefined) return undefined
  const account = user === undefined || process.geteuid?.() !== 0 ? undefined : resolveAccount(user, group)
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [...process.execArgv, CHECK_APP, resolve(app), ...imports], {
    ...account === undefined ? {} : { uid: account.uid, gid: account.gid },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LOAD_PATIENCE,
    killSignal: 'SIGKILL',
  })
  if (status !== 0) {
    const why = error?.message ?? (stderr.trim().split('\n').at(-1) || 'it ended without a word')
    throw new Refusal(status ?? ExitCode.SOFTWARE, why)
  }
  const { kind, contexts } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as CheckedApp
  const message = `${app} exports ${ARTICLES[kind]}`
  return contexts.length === 0 ? message : [{ check: 'app', isGood: true, message, exitCode: ExitCode.OK }, ...contexts.flatMap(contextFindings)]
}

const ARTICLES: Readonly<Record<CheckedApp['kind'], string>> = { instance: 'an instance', factory: 'a factory', plugin: 'a plugin' }

function assertAccess (path: string, mode: number, what: string): void {
  try {
    accessSync(path, mode)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const hint = code === 'ENOENT' && path.startsWith('/run/') ? '; a systemd unit makes it by RuntimeDirectory= while it runs' : ''
    throw new Refusal(ExitCode.CANNOT_CREATE, `${path} ${what}: ${code}${hint}`, cause)
  }
}

import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { Child, plainEnvironment, runNode } from '../child.js'
import { needs } from '../programs.js'
import { lacksCloseOnExec } from '../../packages/engine/src/plugins/inherited-descriptors.js'
import { sameEnvironment, sameProgram } from '../../packages/engine/src/plugins/same-program.js'
import { Witness } from './witness.js'

const fixture = new URL('fixtures/daemon.js', import.meta.url)
const skip = process.platform === 'linux' ? false : 'it reads /proc'

/** The pids of the processes of a group that have not ended. */
function members (group: number): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number).filter(pid => {
    try {
      const [state, , itsGroup] = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] as string).split(' ')
      return Number(itsGroup) === group && state !== 'Z'
    } catch {
      return false
    }
  })
}

const options = (value: object): string => JSON.stringify(value)

test('the launcher exits with 0 and prints the pid when the daemon is ready, which then runs on in a session that it does not lead', { skip }, async t => {
  const witness = await Witness.call(t)
  const launcher = runNode(t, fixture, { WITNESS: String(witness.port) })
  const facts = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 0, signal: null })
  t.equal(launcher.output, `a warning\n${facts.pid}\n`)
  t.not(facts.session, facts.pid, 'it does not lead its session')
  t.not(facts.session, Number(readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ')[3]), 'it is not in ours')
  t.equal(facts.terminal, 0)
  t.same(members(facts.group), [facts.pid], 'the shell between the two is gone')
  process.kill(facts.pid, 'SIGTERM')
  await witness.gone()
})

test('the daemon has the arguments, environment and Node options of the launcher, and nothing of the launch is left', { skip }, async t => {
  const witness = await Witness.call(t)
  const env = { ...plainEnvironment(), WITNESS: String(witness.port), 'not.of.shells': 'kept' }
  // The test runner takes NODE_OPTIONS out of the environment of what it spawns.
  const script = 'NODE_OPTIONS="--stack-trace-limit=20 --inspect-port=0"; export NODE_OPTIONS; exec "$0" "$@"'
  const program = [process.execPath, '--inspect=0', '--no-warnings', fileURLToPath(fixture), '-v', 'a b', '$HOME']
  const launcher = new Child(t, 'bash', ['-c', script, ...program], { env })
  const { args, execArgv, env: daemonEnv, files, umask, cwd } = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 0, signal: null })
  t.same(args, ['-v', 'a b', '$HOME'])
  t.same(execArgv, ['--no-warnings'])
  t.equal(daemonEnv['not.of.shells'], 'kept')
  t.equal(daemonEnv.NODE_OPTIONS, '--stack-trace-limit=20')
  t.same(Object.keys(daemonEnv).filter(name => name.startsWith('FASTKEEP')), [])
  t.equal(umask, 0o027)
  t.equal(cwd, process.cwd())
  t.equal(files[0], '/dev/null')
  t.match(launcher.output, /Debugger listening/)
  t.equal(launcher.output.match(/Debugger/g)?.length, 1, 'the daemon has no inspector')
  const isSocket = (file: string): boolean => file.startsWith('socket:')
  t.equal(Object.values(files).filter(isSocket).length, 2, 'before it is ready: witness and channel')
  t.equal(Object.values((await witness.open('/dev/null')).files).filter(isSocket).length, 1, 'the channel is closed')
})

test('streams are appended to files that are created 0640, and umask and working directory are set', { skip }, async t => {
  const witness = await Witness.call(t)
  const directory = t.testdir({ 'in.txt': 'input', 'out.log': 'before\n' })
  const at = (name: string): string => join(directory, name)
  const OPTIONS = options({ stdin: at('in.txt'), stdout: at('out.log'), stderr: at('err.log'), cwd: '/', umask: 0o077 })
  const launcher = runNode(t, fixture, { WITNESS: String(witness.port), OPTIONS })
  const { files, cwd, umask } = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 0, signal: null })
  t.match(files, { 0: at('in.txt'), 1: at('out.log'), 2: at('err.log') })
  t.equal(readFileSync(at('out.log'), 'utf8'), 'before\n')
  t.equal(readFileSync(at('err.log'), 'utf8'), 'a warning\n', 'the file has what the launcher printed too')
  t.equal(statSync(at('err.log')).mode & 0o777, 0o640 & ~process.umask())
  t.equal(umask, 0o077)
  t.equal(cwd, '/')
})

// CherryPy's launcher says 0 in each of these cases but an error before its fork: with the port taken, in 3 of 3 runs.
const FAILURES = [
  { fate: 'exit', code: 3, output: /ended with code 3 before it was ready/ },
  { fate: 'zero', code: 70, output: /ended with code 0 before it was ready/ },
  { fate: 'throw', code: 1, output: /Error: the body is broken x{300000} to the end\n {4}at .*daemon\.js:\d+/ },
  { fate: 'reject', code: 1, output: /Error: nobody caught this\n {4}at .*daemon\.js:\d+/ },
  { fate: 'missing', code: 1, output: /Cannot find module '.*is-not-there\.js'[^]*\n {4}at / },
  { fate: 'SIGKILL', code: 137, output: /ended with code 137 \(SIGKILL\) before it was ready/ },
  { fate: 'SIGSEGV', code: 139, output: /ended with code 139 \(SIGSEGV\) before it was ready/ },
]

test('a daemon that ends in the body of its main module leaves the launcher its exit code and its error in full', { skip }, async t => {
  for (const { fate, code, output } of FAILURES) {
    const launcher = runNode(t, fixture, { BODY: fate })
    t.same(await launcher.ended, { code, signal: null }, fate)
    t.match(launcher.output, output)
    t.notMatch(launcher.output, /nothing kept it alive/)
  }
})

test('a listener that fails in the daemon gives the launcher the exit code of the foreground', { skip }, async t => {
  const launcher = runNode(t, fixture, { FATE: 'throw' })
  t.same(await launcher.ended, { code: 70, signal: null })
  t.match(launcher.output, /fastkeep: cannot start: anonymous: the body is broken/)
})

test('a module that only the daemon misses, or cannot parse, is told though nothing of the program has run', { skip }, async t => {
  const plugin = import.meta.resolve('@fastkeep/engine')
  const main = `import './part.js'\nimport { launchDaemon } from '${plugin}'\nawait launchDaemon()\n`
  const changes = {
    "import { unlinkSync } from 'node:fs'; unlinkSync(new URL(import.meta.url))": /Cannot find module '.*part\.js' imported from .*main\.js/,
    "import { writeFileSync } from 'node:fs'; writeFileSync(new URL(import.meta.url), 'syntax error')": /SyntaxError: Unexpected identifier/,
  }
  for (const [part, output] of Object.entries(changes)) {
    const directory = t.testdir({ 'main.js': main, 'part.js': part, 'package.json': '{ "type": "module" }' })
    const launcher = new Child(t, process.execPath, [join(directory, 'main.js')], { env: plainEnvironment() })
    t.same(await launcher.ended, { code: 1, signal: null })
    t.match(launcher.output, output)
  }
})

test('a port that is taken ends the launcher with 71 and the line of the foreground', { skip }, async t => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const launcher = runNode(t, fixture, { PORT: String(port) })
  t.same(await launcher.ended, { code: 71, signal: null })
  t.match(launcher.output, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: .* listens on port ${port} already`))
})

test('a daemon that is not ready in time ends with its children, though it ignores SIGTERM, and the launcher says 75', { skip }, async t => {
  const witness = await Witness.call(t)
  const launcher = runNode(t, fixture, { WITNESS: String(witness.port), FATE: 'never', OPTIONS: options({ timeout: 4000 }) })
  const { group, pid } = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 75, signal: null })
  t.match(launcher.output, 'fastkeep: the daemon was not ready within 4000 ms: it was ended')
  t.same(members(group), [], `${pid} and the shell and child of it are gone`)
})

test('a signal that ends the launcher ends the daemon before it is ready', { skip }, async t => {
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
    const witness = await Witness.call(t)
    const launcher = runNode(t, fixture, { WITNESS: String(witness.port), FATE: 'untilAsked' })
    const { group } = await witness.facts(launcher)
    launcher.kill(signal)
    t.same(await launcher.ended, { code, signal: null })
    t.same(members(group), [])
  }
})

test('a daemon ends if its launcher is killed before it is ready, for nobody would know that it runs', { skip }, async t => {
  const witness = await Witness.call(t)
  const launcher = runNode(t, fixture, { WITNESS: String(witness.port), FATE: 'never' })
  await witness.facts(launcher)
  launcher.kill('SIGKILL')
  await witness.gone()
  t.pass('it has gone')
})

test('a bus that stops and starts again, and another call of launchDaemon(), stay in the same process', { skip }, async t => {
  const witness = await Witness.call(t)
  const launcher = runNode(t, fixture, { WITNESS: String(witness.port), FATE: 'restart' })
  const { pid } = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 0, signal: null })
  t.equal((await witness.facts()).pid, pid)
})

test('the launch alone, before the rest of the program is loaded, is that of the whole package', { skip }, async t => {
  const witness = await Witness.call(t)
  const launcher = runNode(t, new URL('fixtures/early-daemon.js', import.meta.url), { WITNESS: String(witness.port) })
  const { pid, execArgv } = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 0, signal: null })
  t.equal(launcher.output, `loading the rest\na warning\n${pid}\n`, 'only the daemon loads the rest, told by its standard error')
  t.same(execArgv, [])
})

test('a stray variable does not make a process believe that it is the daemon', { skip }, async t => {
  const witness = await Witness.call(t)
  const note = JSON.stringify({ channel: 0, environment: {} })
  const launcher = runNode(t, fixture, { WITNESS: String(witness.port), FASTKEEP_DAEMON_NOTE: note, FASTKEEP_DAEMON_PID: '1' })
  const { pid } = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 0, signal: null })
  t.not(pid, launcher.pid)
})

test('descriptors that nobody declared are closed, those of socket activation are the daemon\'s own', { skip }, async t => {
  const witness = await Witness.call(t)
  const leaked = join(t.testdir({ leaked: '' }), 'leaked')
  const fd = openSync(leaked, 'r')
  const listening = createServer().listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  const activated = (listening as unknown as { _handle: { fd: number } })._handle.fd
  const stdio = Array.from({ length: 41 }, (_, number) => ({ 1: 'pipe', 2: 'pipe', 3: activated, 40: fd })[number] ?? 'ignore') as Array<'ignore' | 'pipe' | number>
  const launcher = new Child(t, 'sh', ['-c', 'export LISTEN_PID=$$; exec "$0" "$@"', process.execPath, fileURLToPath(fixture)], {
    stdio, env: { ...plainEnvironment(), WITNESS: String(witness.port), PORT: '0', LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' },
  })
  listening.close()
  closeSync(fd)
  const { files, pid } = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 0, signal: null })
  t.notOk(Object.values(files).includes(leaked))
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  t.match(environment.filter(entry => entry.startsWith('LISTEN_')).sort(), ['LISTEN_FDNAMES=http', 'LISTEN_FDS=1', `LISTEN_PID=${pid}`])
  t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404, 'the daemon serves on it')
})

test('the daemon survives the end of the terminal that it was started from', { skip: skip || needs('script') }, async t => {
  const witness = await Witness.call(t)
  const command = `'${process.execPath}' '${fileURLToPath(fixture)}'`
  const terminal = new Child(t, 'script', ['-qec', command, '/dev/null'], { env: { ...plainEnvironment(), WITNESS: String(witness.port) } })
  const { terminal: controlling, files, pid } = await witness.facts(terminal)
  t.same(await terminal.ended, { code: 0, signal: null })
  t.equal(controlling, 0)
  t.notMatch(Object.values(files).join(), /pts/)
  t.equal((await witness.open('/dev/null')).pid, pid, 'it answers after the hang-up')
})

test('a terminal that the daemon opens does not become its controlling terminal', { skip: skip || needs('python3') }, async t => {
  const witness = await Witness.call(t)
  const launcher = runNode(t, fixture, { WITNESS: String(witness.port) })
  await witness.facts(launcher)
  const free = new Child(t, 'python3', ['-c', 'import os, sys; m, s = os.openpty(); print(os.ttyname(s), flush=True); sys.stdin.read()'], { stdio: ['pipe', 'pipe', 'pipe'] })
  const path = (await free.match(/\/dev\/pts\/\d+/))[0]
  const { terminal, files } = await witness.open(path)
  t.ok(Object.values(files).includes(path))
  t.equal(terminal, 0)
})

test('a TypeScript program is run by the same compiler', { skip }, async t => {
  const witness = await Witness.call(t)
  const args = ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL('fixtures/daemon-typescript.ts', import.meta.url))]
  const launcher = new Child(t, process.execPath, args, { env: { ...plainEnvironment(), WITNESS: String(witness.port) } })
  const { pid, execArgv } = await witness.facts(launcher)
  t.same(await launcher.ended, { code: 0, signal: null }, launcher.output)
  t.equal(launcher.output, `ready\nready\na warning\n${pid}\n`)
  t.same(execArgv, args.slice(0, 2))
})

test('it is refused with 78 once there are sockets or threads, and nothing is started', { skip }, async t => {
  const late = new URL('fixtures/daemonizes-too-late.js', import.meta.url)
  const found = { tcp: 'an open TCP socket', udp: 'an open UDP socket', unix: 'an open Unix socket', worker: 'a worker thread' }
  // The path of a Unix socket is at most 107 bytes long.
  const directory = mkdtempSync(join(tmpdir(), 'late-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  for (const [OPEN, what] of Object.entries(found)) {
    const launcher = runNode(t, late, { OPEN, SOCKET: join(directory, 'socket') })
    t.same(await launcher.ended, { code: 78, signal: null })
    t.match(launcher.output, `fastkeep: cannot start: Daemonizer: cannot daemonize: this process has ${what} already`)
  }
})

test('a program from standard input, -e or -p is refused with 78', async t => {
  const plugin = import.meta.resolve('@fastkeep/engine')
  const code = `import('${plugin}').then(({ launchDaemon }) => launchDaemon()).catch(error => { console.log(error.code, error.exitCode); process.exit(9) })`
  for (const args of [['-'], [], ['-e', code, 'argument'], ['-p', code]]) {
    const child = new Child(t, process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'], env: plainEnvironment() })
    child.process.stdin?.end(code)
    t.same(await child.ended, { code: 9, signal: null })
    t.match(child.output, /FST_KEEP_ENGINE_DAEMON_UNSUPPORTED 78/)
  }
})

test('a stream or directory that cannot be had is named', { skip }, async t => {
  const refused = runNode(t, fixture, { OPTIONS: options({ stderr: '/nowhere/err.log' }) })
  t.same(await refused.ended, { code: 73, signal: null })
  t.match(refused.output, 'cannot open "/nowhere/err.log" as the daemon\'s standard error: ENOENT')
  const lost = runNode(t, fixture, { OPTIONS: options({ cwd: '/nowhere' }) })
  t.same(await lost.ended, { code: 78, signal: null })
  t.match(lost.output, 'the daemon cannot enter its working directory "/nowhere": ENOENT')
})

test('an option that is wrong is named before anything is started', async t => {
  const launcher = runNode(t, fixture, { OPTIONS: options({ timout: 5 }) })
  await launcher.ended
  t.match(launcher.output, 'FST_KEEP_ENGINE_OPTION_UNKNOWN')
  t.match(launcher.output, 'did you mean "timeout"?')
})

test('the same program: flags and variables of one process are left out with their values', async t => {
  const start = { execPath: '/node', argv: ['/node', '/srv/main.ts', '-v'], isSea: false }
  const execArgv = ['--inspect-brk=9229', '--import', 'tsx', '--inspect_port', '0', '--watch', '--watch-path', './src', '--test-name-pattern=a', '--test-only', '--conditions', 'dev']
  t.same(sameProgram({ ...start, execArgv }), ['--import', 'tsx', '--conditions', 'dev', '/srv/main.ts', '-v'])
  t.same(sameProgram({ ...start, execArgv: [] }, 'file:///a.js'), ['--import=file:///a.js', '/srv/main.ts', '-v'])
  t.same(sameProgram({ ...start, argv: ['/app', '/app', '-v'], execArgv: [], isSea: true }, 'file:///a.js'), ['-v'])
  t.same(sameEnvironment({ A: 'b', NODE_OPTIONS: '--inspect --import "./a b.js" --watch-path "./a b" -r x', WATCH_REPORT_DEPENDENCIES: '1' }), { A: 'b', NODE_OPTIONS: '--import "./a b.js" -r x' })
  t.end()
})

test('a descriptor is inherited if its flags lack close-on-exec', async t => {
  t.equal(lacksCloseOnExec('pos:\t0\nflags:\t0100000\nmnt_id:\t9\n'), true)
  t.equal(lacksCloseOnExec('pos:\t0\nflags:\t02100000\nmnt_id:\t9\n'), false)
  t.equal(lacksCloseOnExec(''), false)
})

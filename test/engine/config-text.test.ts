import { readEnvironment, parseFlags, OPTIONS, type ConfigTable } from '@fastkeep/engine'
import { test } from 'tap'
import { optionChecker, secret, string } from '@fastkeep/options'
import { FOREIGN_VARIABLES, variableOf } from '../../packages/engine/src/config/environment.js'
import { flagOf } from '../../packages/engine/src/config/flags.js'
import { rulesOf } from '../../packages/engine/src/config/options.js'
import { plain } from '../../packages/engine/src/config/text-form.js'

const CODE = 'FST_KEEP_ENGINE_CONFIG_'
const written = Object.entries(OPTIONS).filter(([, { text }]) => text !== undefined)

/** What the environment gives, by path. */
function fromEnvironment (environment: NodeJS.ProcessEnv): Record<string, unknown> {
  return Object.fromEntries(readEnvironment(environment).map(({ path, value }) => [path, value]))
}

function fromFlags (...argv: string[]): Record<string, unknown> {
  return Object.fromEntries(parseFlags(argv).given.map(({ path, value }) => [path, value]))
}

test('each option has a variable and a flag of its own, after its path', async t => {
  t.equal(variableOf('drain.restartIdleWindow'), 'FASTKEEP_DRAIN_RESTART_IDLE_WINDOW')
  t.equal(variableOf('pidFile'), 'FASTKEEP_PID_FILE')
  t.equal(flagOf('drain.idleWindow'), '--drain-idle-window')
  t.equal(flagOf('signals.SIGUSR2'), '--signals-sigusr2')
  const paths = Object.keys(OPTIONS)
  t.equal(new Set(paths.map(variableOf)).size, paths.length)
  t.equal(new Set(paths.map(flagOf)).size, paths.length)
  t.same(paths.map(variableOf).filter(name => name in FOREIGN_VARIABLES), [])
})

test('every default can be written in the environment and as a flag, and comes back as it was', async t => {
  for (const [path, { text, default: value }] of written) {
    if (text === undefined || value === undefined) continue
    t.same([fromEnvironment({ [variableOf(path)]: text.format(value) })[path]].flat(), [value].flat(), path)
    t.same([fromFlags(`${flagOf(path)}=${text.format(value)}`)[path]].flat(), [value].flat(), path)
  }
})

test('the rules of the table accept every default, in the form that the plugin checks', async t => {
  const check = optionChecker('engine')
  for (const [path, { default: value, rule }] of Object.entries(OPTIONS)) if (value !== undefined) t.ok(rule.accepts(value), path)
  const rules = rulesOf(OPTIONS)
  check({ port: 80, daemon: true, drain: { idleWindow: 1 }, signals: { SIGHUP: () => {} } }, rules)
  check({ daemon: { stdout: '/x' }, signals: false }, rules)
  t.throws(() => check({ drain: { idelWindow: 1 } }, rules), { message: /unknown option "drain.idelWindow", did you mean "idleWindow"/ })
  t.throws(() => check({ daemon: { timeout: 0 } }, rules), { message: /"daemon.timeout" must be/ })
  t.throws(() => check({ drain: true }, rules), { message: /"drain" must be an object/ })
  t.throws(() => check({ signals: 1 }, rules), { message: /"signals" must be a boolean or an object/ })
  t.throws(() => check({ signals: { SIGKILL: 'exit' } }, rules), { message: /SIGKILL/ })
})

test('the environment gives numbers, octal permissions, booleans, lists, names and signals', async t => {
  t.same(fromEnvironment({
    HOME: '/root',
    FASTKEEP_PORT: '0',
    FASTKEEP_HOST: '127.0.0.1, ::1',
    FASTKEEP_UMASK: '027',
    FASTKEEP_MODE: '0660',
    FASTKEEP_USER: '1000',
    FASTKEEP_DAEMON: 'Yes',
    FASTKEEP_DAEMON_STDOUT: '/var/log/a b.log',
    FASTKEEP_SIGNALS_SIGHUP: 'ignore',
    FASTKEEP_SESSION_KEYS: 'not for us',
  }), {
    port: 0,
    host: ['127.0.0.1', '::1'],
    umask: 0o027,
    mode: 0o660,
    user: '1000',
    daemon: true,
    'daemon.stdout': '/var/log/a b.log',
    'signals.SIGHUP': 'ignore',
  })
  for (const text of ['1', 'true', 'yes', 'on', 'ON']) t.same(fromEnvironment({ FASTKEEP_SIGNALS: text }), { signals: true })
  for (const text of ['0', 'false', 'no', 'off', 'False']) t.same(fromEnvironment({ FASTKEEP_SIGNALS: text }), { signals: false })
})

test('malformed text is refused in the environment with code 78 and as a flag with code 64, and both say what is meant', async t => {
  const malformed: Array<[path: string, text: string, message: RegExp]> = [
    ...['', ' 80', '80 ', '+80', '-1', '080', '0x50', '8e1', '80.0', '8_0', 'NaN', '65536', '99999999999999999999', 'http']
      .map((text): [string, string, RegExp] => ['port', text, /must be a whole number from 0 to 65535 \(TCP ports\), got "/]),
    ...['27', '0o27', '888', '1777', '00027', ''].map((text): [string, string, RegExp] => ['umask', text, /must be three octal digits/]),
    ...['', '2', 'y', 'truee', ' 1', 'constructor'].map((text): [string, string, RegExp] => ['daemon', text, /must be 1, true, yes, on, 0, false, no or off, got "/]),
    ...['', ',', '127.0.0.1,', 'a,,b'].map((text): [string, string, RegExp] => ['host', text, /must be addresses or names, separated by commas/]),
    ['pidFile', '', /must be a path, got ""/],
    ['user', '', /must be a name that is not empty/],
    ['drain.deadline', '0', /must be a whole number of ms from 1 to/],
    ['signals.SIGHUP', 'relaod', /must be exit, quit, .*, got "relaod", did you mean "reload"\?/],
  ]
  for (const [path, text, message] of malformed) {
    const label = `${path} ${JSON.stringify(text)}`
    t.throws(() => readEnvironment({ [variableOf(path)]: text }), { code: `${CODE}VARIABLE_INVALID`, exitCode: 78, message }, label)
    t.throws(() => readEnvironment({ [variableOf(path)]: text }), { message: new RegExp(`^${variableOf(path)} must`) }, label)
    t.throws(() => parseFlags([`${flagOf(path)}=${text}`]), { code: `${CODE}FLAG_INVALID`, exitCode: 64, message }, label)
  }
})

test('a long text is shown by its beginning only', async t => {
  t.throws(() => readEnvironment({ FASTKEEP_PORT: 'x'.repeat(10_000) }), { message: /^.{100,300}$/ })
})

test('an unknown variable with the prefix is refused and the nearest one named, among them those of other packages', async t => {
  const unknown = { code: `${CODE}VARIABLE_UNKNOWN`, exitCode: 78 }
  t.throws(() => readEnvironment({ FASTKEEP_PROT: '80' }), { ...unknown, message: /FASTKEEP_PROT, did you mean "FASTKEEP_PORT"\?/ })
  t.throws(() => readEnvironment({ FASTKEEP_SESSION_KEY: 'x' }), { ...unknown, message: /did you mean "FASTKEEP_SESSION_KEYS"\?/ })
  t.throws(() => readEnvironment({ FASTKEEP_DRAIN_IDLEWINDOW: '1' }), { ...unknown, message: /"FASTKEEP_DRAIN_IDLE_WINDOW"/ })
  t.throws(() => readEnvironment({ FASTKEEP_COMPLETELY_ELSE: 'hidden' }), { ...unknown, message: /^environment: there is no option for the variable FASTKEEP_COMPLETELY_ELSE; unset it$/ })
  t.throws(() => readEnvironment({ FASTKEEP_: '' }), unknown)
  t.throws(() => readEnvironment({ FASTKEEP_DAEMON_ON_LAUNCHED: 'x' }), unknown, 'a function cannot be written')
  t.same(readEnvironment({ FASTKEEPER_PORT: '1', MY_FASTKEEP_PORT: '1', fastkeep_port: '1' }), [])
})

test('a secret is never shown by an error, and has no flag', async t => {
  const table: ConfigTable = { 'tls.passphrase': { rule: secret(string('16 letters', /^[a-z]{16}$/)), text: plain } }
  t.throws(() => readEnvironment({ FASTKEEP_TLS_PASSPHRASE: 'hunter2' }, table), {
    message: 'FASTKEEP_TLS_PASSPHRASE must be 16 letters, got something else (not shown: it is secret)',
  })
  t.same(readEnvironment({ FASTKEEP_TLS_PASSPHRASE: 'abcdefghijklmnop' }, table), [{ path: 'tls.passphrase', value: 'abcdefghijklmnop', origin: 'FASTKEEP_TLS_PASSPHRASE' }])
  t.throws(() => parseFlags(['--tls-passphrase=hunter2'], table), {
    code: `${CODE}FLAG_UNKNOWN`,
    message: /^there is no flag --tls-passphrase: it is a secret, and all users of the machine can read the arguments/,
  })
})

test('flags are read in both forms, booleans with --no-, and the rest are operands', async t => {
  t.same(parseFlags(['app.js', '--port', '80', '--daemon-stdout=/x=y', '--no-signals', '--daemon', 'more', '--', '--port', '-x']), {
    given: [
      { path: 'port', value: 80, origin: '--port' },
      { path: 'daemon.stdout', value: '/x=y', origin: '--daemon-stdout' },
      { path: 'signals', value: false, origin: '--no-signals' },
      { path: 'daemon', value: true, origin: '--daemon' },
    ],
    operands: ['app.js', 'more', '--port', '-x'],
  })
  t.same(fromFlags('--daemon=off'), { daemon: false })
  t.same(fromFlags('--pid-file=--x'), { pidFile: '--x' })
  t.same(fromFlags('--host', 'a,b'), { host: ['a', 'b'] })
  t.same(parseFlags(['-', '--daemon', 'no']).operands, ['-', 'no'], 'a boolean takes no value from the next argument')
})

test('a flag that is unknown, incomplete, doubled or wrongly negated is refused with code 64', async t => {
  const unknown = { code: `${CODE}FLAG_UNKNOWN`, exitCode: 64 }
  const invalid = { code: `${CODE}FLAG_INVALID`, exitCode: 64 }
  t.throws(() => parseFlags(['--prot', '80']), { ...unknown, message: 'there is no flag --prot, did you mean "--port"?' })
  t.throws(() => parseFlags(['--no-deamon']), { ...unknown, message: 'there is no flag --no-deamon, did you mean "--no-daemon"?' })
  t.throws(() => parseFlags(['-p', '80']), unknown)
  t.throws(() => parseFlags(['--__proto__']), unknown)
  t.throws(() => parseFlags(['--daemon-on-launched=x']), unknown)
  t.throws(() => parseFlags(['--port']), { ...invalid, message: '--port must be followed by its value' })
  t.throws(() => parseFlags(['--pid-file', '--daemon']), { ...invalid, message: /got --daemon; if that is the value, write --pid-file=--daemon/ })
  t.throws(() => parseFlags(['--port', '1', '--port=1']), { ...invalid, message: /--port was given after --port had been/ })
  t.throws(() => parseFlags(['--daemon', '--no-daemon']), { ...invalid, message: /--no-daemon was given after --daemon/ })
  t.throws(() => parseFlags(['--no-port']), { ...invalid, message: /--no-port: only a flag that is on or off can be negated, and --port takes a value/ })
  t.throws(() => parseFlags(['--no-daemon=1']), { ...invalid, message: '--no-daemon takes no value' })
})

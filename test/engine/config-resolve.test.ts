import { describeConfig, formatConfig, type Given, OPTIONS, type ConfigOptions, type ConfigTable, resolveConfig, type EffectiveOption } from '@fastkeep/engine'
import { test } from 'tap'
import { secret, string } from '@fastkeep/options'
import { variableOf } from '../../packages/engine/src/config/environment.js'
import { type ConfigSources } from '../../packages/engine/src/config/resolve.js'

const CODE = 'FST_KEEP_ENGINE_CONFIG_'
const OUTSIDE = ['flags', 'environment', 'file'] as const
const BY_STRENGTH = ['code', ...OUTSIDE] as const

type Sources = ConfigSources<ConfigOptions>

function given (path: string, value: unknown, origin = `the origin of ${path}`): Given {
  return { path, value, origin }
}

/** One source that gives one option. */
function source (name: typeof BY_STRENGTH[number], path: string, value: unknown): Partial<Sources> {
  if (name !== 'code') return { [name]: [given(path, value, name)] }
  const [outer, inner] = path.split('.') as [string, string?]
  return { code: { [outer]: inner === undefined ? value : { [inner]: value } } }
}

function resolve (...sources: Array<Partial<Sources>>): ReturnType<typeof resolveConfig<ConfigOptions>> {
  return resolveConfig(Object.assign({ code: {} }, ...sources) as Sources)
}

function effective (all: readonly EffectiveOption[], path: string): EffectiveOption | undefined {
  return all.find(option => option.path === path)
}

test('of every pair of sources the stronger one wins, for options alone and in groups', async t => {
  for (const path of ['port', 'drain.deadline']) {
    for (const [index, strong] of BY_STRENGTH.entries()) {
      for (const weak of BY_STRENGTH.slice(index + 1)) {
        const result = resolve(source(weak, path, 1), source(strong, path, 2))
        const option = effective(result.effective, path)
        t.match(option, { value: 2, source: strong, origin: strong }, `${path}: ${strong} beats ${weak}`)
        t.same(result.options, path === 'port' ? { port: 2 } : { drain: { deadline: 2 } })
      }
      const alone = resolve(source(strong, path, 3))
      t.match(effective(alone.effective, path), { value: 3, source: strong }, `${path}: ${strong} beats the default`)
    }
  }
})

test('every subset of the sources is won by its strongest, whatever the others say', async t => {
  for (let subset = 0; subset < 16; subset++) {
    const names = BY_STRENGTH.filter((_name, index) => (subset & (1 << index)) !== 0)
    const { effective: all } = resolve(...names.map((name, index) => source(name, 'restartTimeout', 1000 + index)))
    t.match(effective(all, 'restartTimeout'), names.length === 0 ? { value: 60_000, source: 'default' } : { value: 1000, source: names[0] }, names.join())
  }
})

test('options of one group come from different sources, each with its own', async t => {
  const { options, effective: all } = resolve(
    { code: { drain: { deadline: 1000 }, port: undefined } as ConfigOptions },
    { flags: [given('drain.idleWindow', 10)], environment: [given('drain.deadline', 1), given('port', 80)] }
  )
  t.same(options, { port: 80, drain: { deadline: 1000, idleWindow: 10 } })
  t.match(effective(all, 'drain.idleWindow'), { source: 'flags' })
  t.match(effective(all, 'port'), { source: 'environment' }, 'undefined in code counts as not given')
})

test('defaults are in force but are not given', async t => {
  const { options, effective: all } = resolve()
  t.same(options, {})
  t.match(effective(all, 'drain.deadline'), { value: 25_000, source: 'default', origin: 'default' })
  t.match(effective(all, 'signals.SIGTERM'), { value: 'exit', source: 'default' })
  t.equal(effective(all, 'pidFile'), undefined, 'without a default there is nothing in force')
})

test('what the program gives and the table does not know is passed through, and its objects are not changed', async t => {
  const onLaunched = (): void => {}
  const code = { engine: Symbol('engine'), daemon: { onLaunched, nice: 5 }, signals: { SIGHUP: onLaunched } }
  const { options } = resolveConfig({ code, environment: [given('daemon.stdout', '/log'), given('signals.SIGUSR2', 'ignore')] })
  t.same(options, { engine: code.engine, daemon: { onLaunched, nice: 5, stdout: '/log' }, signals: { SIGHUP: onLaunched, SIGUSR2: 'ignore' } })
  t.same(code.daemon, { onLaunched, nice: 5 })
})

test('a group that is switched off takes its options along; one of its options alone does not switch it on', async t => {
  const off = resolve({ flags: [given('daemon', false)], file: [given('daemon', true), given('daemon.stdout', '/log')] })
  t.same(off.options, { daemon: false })
  t.match(off.effective.filter(({ path }) => path.startsWith('daemon')), [{ path: 'daemon', value: false }])
  t.equal(off.effective.filter(({ path }) => path.startsWith('daemon')).length, 1)

  const alone = resolve({ environment: [given('daemon.stdout', '/log')] })
  t.same(alone.options, {}, 'a daemon is asked for by its own name')
  const on = resolve({ flags: [given('daemon', true)], environment: [given('daemon.stdout', '/log')] })
  t.same(on.options, { daemon: { stdout: '/log' } })
  t.same(resolve({ flags: [given('daemon', true)] }).options, { daemon: true })
  t.same(resolve({ code: { daemon: { cwd: '/' } }, environment: [given('daemon', false)] }).options, { daemon: { cwd: '/' } }, 'an object in code says true')

  t.same(resolve({ environment: [given('signals', false)], file: [given('signals.SIGHUP', 'exit')] }).options, { signals: false })
  t.same(resolve({ environment: [given('signals.SIGHUP', 'exit')] }).options, { signals: { SIGHUP: 'exit' } }, 'signals are on by default')
})

test('port and host against a unix socket contradict each other across the sources, and both origins are named', async t => {
  t.throws(() => resolve({ environment: [given('path', '/run/x', 'FASTKEEP_PATH')], file: [given('port', 80, '/etc/fastkeep.config.json')] }), {
    code: `${CODE}CONTRADICTION`,
    exitCode: 78,
    message: 'the options "port" (/etc/fastkeep.config.json) and "path" (FASTKEEP_PATH) contradict each other: remove one of them',
  })
  t.throws(() => resolve({ code: { host: '::' }, flags: [given('path', '/run/x')] }), { code: `${CODE}CONTRADICTION` })
  const { effective: all } = resolve({ code: { path: '/run/x' } })
  t.same(all.map(({ path }) => path).filter(path => ['port', 'host', 'path', 'mode'].includes(path)), ['path', 'mode'])
  t.equal(effective(resolve().effective, 'mode'), undefined)
})

test('with lock, whoever overrides what the program gives is refused and named; the rest may be set', async t => {
  const codes = { flags: ['FLAG', 64], environment: ['VARIABLE', 78], file: ['FILE', 78] } as const
  const code = { port: 80, drain: { deadline: 1000 }, daemon: false }
  for (const name of OUTSIDE) {
    const [what, exitCode] = codes[name]
    for (const [path, value] of [['port', 80], ['drain.deadline', 1], ['daemon', true], ['daemon.stdout', '/log']] as const) {
      t.throws(() => resolve({ code, lock: true }, { [name]: [given(path, value, variableOf(path))] }), {
        code: `${CODE}${what}_LOCKED`,
        exitCode,
        message: `${variableOf(path)} sets the option "${path}", which the program has set and locked: remove it there`,
      }, `${name} ${path}`)
      resolve({ code }, { [name]: [given(path, value)] })
    }
    t.same(resolve({ code, lock: true }, { [name]: [given('drain.idleWindow', 7), given('pidFile', '/run/pid')] }).options,
      { port: 80, drain: { deadline: 1000, idleWindow: 7 }, daemon: false, pidFile: '/run/pid' })
  }
})

test('a description has the source of each value, and the form of a table', async t => {
  const { effective: all } = resolve(
    { code: { signals: { SIGHUP: () => {} } }, flags: [given('umask', 0o027, '--umask')] },
    { environment: [given('host', ['127.0.0.1', '::1'], 'FASTKEEP_HOST'), given('port', 8080, 'FASTKEEP_PORT')], file: [given('pidFile', '/run/shop.pid', '/etc/shop.json')] }
  )
  const described = describeConfig(all)
  t.same(described.filter(({ source }) => source !== 'default'), [
    { option: 'port', value: 8080, source: 'environment', origin: 'FASTKEEP_PORT' },
    { option: 'host', value: ['127.0.0.1', '::1'], source: 'environment', origin: 'FASTKEEP_HOST' },
    { option: 'pidFile', value: '/run/shop.pid', source: 'file', origin: '/etc/shop.json' },
    { option: 'umask', value: 0o027, source: 'flags', origin: '--umask' },
    { option: 'signals', value: true, source: 'code', origin: 'code' },
    { option: 'signals.SIGHUP', value: '<function>', source: 'code', origin: 'code' },
  ])
  t.same(JSON.parse(JSON.stringify(described)), described)

  const shown = described.filter(({ source, option }) => source !== 'default' || option === 'drain.deadline')
  t.equal(formatConfig(shown, OPTIONS), [
    'option          value          source',
    'port            8080           environment (FASTKEEP_PORT)',
    'host            127.0.0.1,::1  environment (FASTKEEP_HOST)',
    'pidFile         /run/shop.pid  file (/etc/shop.json)',
    'umask           027            flags (--umask)',
    'drain.deadline  25000          default',
    'signals         true           code',
    'signals.SIGHUP  <function>     code',
  ].join('\n'))
})

test('a description never contains a secret, nor a line that a value has forged', async t => {
  const table: ConfigTable = {
    passphrase: { rule: secret(string()), default: 'default-secret' },
    key: { rule: secret(string()) },
    pidFile: { rule: string() },
  }
  const { effective: all } = resolveConfig({ code: {}, environment: [given('key', 'hunter2'), given('pidFile', '/x\nuser  root  \u001b[31m\u2028code')] }, table)
  const described = describeConfig(all)
  const text = formatConfig(described, table)
  t.notMatch(JSON.stringify(described) + text, /hunter2|default-secret/)
  t.match(described, [{ option: 'passphrase', value: '<redacted>' }, { option: 'key', value: '<redacted>' }])
  t.equal(text.split('\n').length, 4)
  t.notMatch(text, /[\u001b\u2028]/) // eslint-disable-line no-control-regex
})

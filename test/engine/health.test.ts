import { once } from 'node:events'
import http from 'node:http'
import { PassThrough } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import engine, { health, type EnginePluginOptions, type HealthOptions, type LogEntry } from '@fastkeep/engine'
import { runNode } from '../child.js'

interface Answer {
  status: number
  retryAfter: string | undefined
  cacheControl: string | undefined
  body: unknown
}

async function appWith (t: Test, options: HealthOptions = {}, engineOptions: EnginePluginOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(engine, { signals: false, crash: false, drain: { idleWindow: 50, deadline: 5_000 }, ...engineOptions })
  await app.register(health, options)
  app.get('/', async () => 'hello')
  t.teardown(() => app.close().catch(() => {}))
  return app
}

async function ask (app: FastifyInstance, path = '/health/ready', agent: http.Agent | false = false): Promise<Answer> {
  const request = http.get(new URL(path, app.engine.server.urls[0]), { agent })
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response) body += String(chunk)
  const { 'retry-after': retryAfter, 'cache-control': cacheControl } = response.headers
  return { status: response.statusCode ?? 0, retryAfter, cacheControl, body: JSON.parse(body) }
}

/** Resolves when the bus has logged such a line. */
function logged (app: FastifyInstance, pattern: RegExp): Promise<LogEntry> {
  return new Promise(resolve => app.engine.subscribe('log', entry => { if (pattern.test(entry.message)) resolve(entry) }))
}

test('a started service is live and ready, and nobody may keep the answer', async t => {
  const app = await appWith(t)
  await app.engine.start()
  t.match(await ask(app), { status: 200, retryAfter: undefined, cacheControl: 'no-store', body: { status: 'ready' } })
  t.match(await ask(app, '/health/live'), { status: 200, cacheControl: 'no-store', body: { status: 'live' } })
})

test('before and after STARTED readiness is 503 with the time to ask again, liveness stays 200', async t => {
  const app = await appWith(t)
  const seen: Array<Promise<Answer>> = []
  app.engine.subscribe('start', async () => {
    seen.push(ask(app), ask(app, '/health/live'))
    await Promise.all(seen)
  }, { priority: 90 })
  app.engine.subscribe('drain', async () => {
    seen.push(ask(app), ask(app, '/health/live'))
    await Promise.all(seen)
  }, { priority: 11 })
  await app.engine.start()
  await app.engine.exit()
  const [starting, liveThen, stopping, liveLater] = await Promise.all(seen)
  t.match(starting, { status: 503, retryAfter: '5', cacheControl: 'no-store', body: { status: 'starting' } })
  t.match(stopping, { status: 503, retryAfter: '5', cacheControl: 'no-store', body: { status: 'stopping' } })
  t.match([liveThen, liveLater], [{ status: 200 }, { status: 200 }])
})

test('drain.delay: new and idle connections are served and told 503 until the drain begins', async t => {
  const app = await appWith(t, {}, { drain: { delay: 60_000, idleWindow: 50, deadline: 5_000 } })
  await app.engine.start()
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  t.match(await ask(app, '/health/ready', agent), { status: 200 })
  const waiting = logged(app, /Not ready any more; the drain begins in 60000 ms/)
  const exited = app.engine.exit()
  t.match(await waiting, { level: 'info', code: 'FST_KEEP_ENGINE_DRAIN_DELAYED' })
  t.match(await ask(app), { status: 503, body: { status: 'stopping' } })
  t.match(await ask(app, '/health/ready', agent), { status: 503 })
  t.match(await ask(app, '/health/live'), { status: 200 })
  t.equal((await fetch(app.engine.server.urls[0] as string)).status, 200)
  t.equal(app.engine.draining.aborted, false)
  app.engine.server.hurry('the test')
  await exited
  t.equal(app.engine.draining.aborted, true, 'who hurries does not wait for the delay')
})

test('drain.delay is over by itself', async t => {
  const app = await appWith(t, {}, { drain: { delay: 30, idleWindow: 0, deadline: 5_000 } })
  await app.engine.start()
  await app.engine.exit()
  t.equal(app.engine.state, 'EXITED')
})

test('drain.delay is left out where a successor has taken over, and the probes of its old connections stay 200', async t => {
  const app = await appWith(t, {}, { drain: { delay: 60_000, restartIdleWindow: 50, deadline: 5_000 } })
  await app.engine.start()
  const answers: Answer[] = []
  app.engine.subscribe('drain', async () => { answers.push(await ask(app)) })
  app.engine.server.handOver()
  await app.engine.exit()
  t.match(answers, [{ status: 200, body: { status: 'ready' } }])
})

test('a process that has crashed takes nothing new: there is no delay before its drain', async t => {
  const OPTIONS = JSON.stringify({ deadline: 60_000 })
  const child = runNode(t, new URL('fixtures/crashing.js', import.meta.url), { FASTKEEP_DRAIN_DELAY: '60000', OPTIONS })
  const [, url] = await child.match(/serving (http:\S+)/)
  await fetch(`${url}/fault?kind=throw`)
  t.same(await child.ended, { code: 70, signal: null })
})

test('checks decide too: each by its name, with no word of why', async t => {
  const app = await appWith(t, {
    checkTimeout: 50,
    checks: {
      database: async () => true,
      cache: async () => { throw new Error('password hunter2 refused') },
      queue: () => false,
      forgetful: (() => {}) as never,
      search: signal => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('given up')))),
    },
  })
  const warned = logged(app, /Readiness check cache: failed/)
  await app.engine.start()
  const answer = await ask(app)
  t.match(answer, { status: 503, retryAfter: '5' })
  t.same(answer.body, {
    status: 'failing', checks: { database: 'ok', cache: 'failed', queue: 'failed', forgetful: 'failed', search: 'timed out' },
  })
  t.match(await warned, { level: 'warn', code: 'FST_KEEP_ENGINE_READINESS_CHECK', error: { message: 'password hunter2 refused' } })
})

test('a check that holds again is ready again, and only its changes are logged', async t => {
  let holds = false
  const app = await appWith(t, { checks: { database: () => holds } })
  const lines: string[] = []
  app.engine.subscribe('log', ({ message }) => { if (message.startsWith('Readiness')) lines.push(message) })
  await app.engine.start()
  t.match([await ask(app), await ask(app)], [{ status: 503 }, { status: 503 }])
  holds = true
  t.match([await ask(app), await ask(app)], [{ status: 200, body: { checks: { database: 'ok' } } }, { status: 200 }])
  t.same(lines, ['Readiness check database: failed', 'Readiness check database: ok'])
})

test('however many ask, a check runs once at a time', async t => {
  let runs = 0
  let finish = (): void => {}
  let begin = (): void => {}
  const begun = new Promise<void>(resolve => { begin = resolve })
  const app = await appWith(t, {
    checkTimeout: 10_000,
    checks: { slow: () => new Promise(resolve => { runs++; finish = () => resolve(true); begin() }) },
  })
  await app.engine.start()
  const answers = Promise.all(Array.from({ length: 5 }, () => app.inject('/health/ready')))
  await begun
  // A second run would begin in these turns.
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  finish()
  t.same((await answers).map(({ statusCode }) => statusCode), [200, 200, 200, 200, 200])
  t.equal(runs, 1)
})

test('a stop that begins while the checks run is not told as ready', async t => {
  const app = await appWith(t, {
    checks: { slow: async () => { app.engine.exit().catch(() => {}); await app.engine.wait('STOPPING'); return true } },
  }, { drain: { delay: 200, idleWindow: 50, deadline: 5_000 } })
  await app.engine.start()
  t.match(await ask(app), { status: 503, body: { status: 'stopping' } })
  await app.engine.wait('EXITED')
})

test('the probes have paths of one\'s own, or are left out', async t => {
  const app = await appWith(t, { live: '/livez', ready: false })
  await app.ready()
  t.equal((await app.inject('/livez')).statusCode, 200)
  t.equal((await app.inject('/health/live')).statusCode, 404)
  t.equal((await app.inject('/health/ready')).statusCode, 404)
})

test('a hook for all routes can tell the probes from the others', async t => {
  const app = Fastify()
  await app.register(engine, { signals: false, crash: false })
  app.addHook('onRequest', async (request, reply) => { if (request.routeOptions.config.health === undefined) await reply.code(401).send() })
  await app.register(health)
  app.get('/', async () => 'secret')
  await app.ready()
  t.equal((await app.inject('/health/live')).statusCode, 200)
  t.equal((await app.inject('/')).statusCode, 401)
  await app.close()
})

test('a probe is not logged, any other request is; and logLevel says otherwise', async t => {
  for (const [options, logsProbes] of [[{}, false], [{ logLevel: 'info' }, true]] as const) {
    const stream = new PassThrough().setEncoding('utf8')
    let log = ''
    stream.on('data', (text: string) => { log += text })
    const app = Fastify({ logger: { level: 'info', stream } })
    await app.register(engine, { signals: false, crash: false })
    await app.register(health, options)
    app.get('/other', async () => 'hello')
    await app.inject('/health/live')
    await app.inject('/other')
    await app.close()
    t.equal(log.includes('"url":"/health/live"'), logsProbes)
    t.match(log, '"url":"/other"')
  }
})

test('what is registered wrongly is refused at once', async t => {
  const refused = async (options: unknown): Promise<void> => {
    const app = Fastify()
    await app.register(engine, { signals: false, crash: false })
    await app.register(health, options as HealthOptions)
  }
  await t.rejects(refused({ reddy: '/ready' }), { code: 'FST_KEEP_ENGINE_OPTION_UNKNOWN', message: /did you mean "ready"/ })
  await t.rejects(refused({ live: 'live' }), { code: 'FST_KEEP_ENGINE_OPTION_INVALID', message: /"live" must be a path that begins with "\/"/ })
  await t.rejects(refused({ checks: { database: true } }), { code: 'FST_KEEP_ENGINE_OPTION_INVALID' })
  await t.rejects(refused({ checkTimeout: 0 }), { code: 'FST_KEEP_ENGINE_OPTION_INVALID' })
  await t.rejects(refused({ live: '/x', ready: '/x' }), { code: 'FST_KEEP_ENGINE_REGISTRATION_REFUSED', message: /same path, \/x/ })
  await t.rejects(async () => { await Fastify().register(health) }, { code: 'FST_KEEP_ENGINE_REGISTRATION_REFUSED', message: /register the engine first/ })
})

import { createRequire } from 'node:module'
import { test } from 'tap'
import Fastify from 'fastify'
import plugin, { websocket, type WebSocketPluginOptions, type WebSocketRouteOptions } from '@fastkeep/websocket'

async function register (options: object): Promise<void> {
  const app = Fastify()
  try {
    await app.register(websocket, options as WebSocketPluginOptions)
  } finally {
    await app.close().catch(() => {})
  }
}

test('wrong options stop the boot and name key, value and the nearest valid one', async t => {
  const wrong: Array<[object, RegExp]> = [
    [{ maxPayLoad: 1 }, /"maxPayLoad", did you mean "maxPayload"/],
    [{ maxPayload: 0 }, /"maxPayload" must be a whole number of bytes from 1/],
    [{ maxBufferedBytes: '1 MB' }, /"maxBufferedBytes" .* got "1 MB"/],
    [{ closeDeadline: Infinity }, /"closeDeadline" must be a whole number of ms/],
    [{ handshakeTimeout: 0 }, /"handshakeTimeout" must be a whole number of ms from 1/],
    [{ authenticate: true }, /"authenticate" must be a function/],
    [{ origin: 'same-orign' }, /did you mean "same-origin"/],
    [{ origin: '*' }, /"origin" must be "same-origin", an array/],
    [{ origin: [] }, /"origin" must be/],
    [{ origin: [/example/] }, /"origin" must be/],
    [{ origin: true }, /"origin" must be/],
  ]
  for (const [options, message] of wrong) await t.rejects(register(options), { code: /^FST_KEEP_WEBSOCKET_OPTION_/, message, exitCode: 78 })
})

test('an entry of the list that no browser sends stops the boot and is shown what it may mean', async t => {
  const wrong: Array<[string, string]> = [
    ['https://chat.example/', 'did you mean "https://chat.example"?'],
    ['https://chat.example/path', 'did you mean "https://chat.example"?'],
    ['https://chat.example:443', 'did you mean "https://chat.example"?'],
    ['HTTPS://Chat.Example', 'did you mean "https://chat.example"?'],
    ['https://user@chat.example', 'did you mean "https://chat.example"?'],
    ['chat.example', 'not a bare origin'],
    ['https://*.chat.example', 'not a bare origin'],
    ['null', 'not a bare origin'],
    ['', 'not a bare origin'],
    ['file:///etc', 'not a bare origin'],
    ['https://', 'not a bare origin'],
    [' https://chat.example', 'did you mean "https://chat.example"?'],
    ['https://chat.example,https://other.example', 'not a bare origin'],
  ]
  for (const [entry, message] of wrong) {
    await t.rejects(register({ origin: ['https://right.example', entry] }), { code: 'FST_KEEP_WEBSOCKET_OPTION_INVALID', exitCode: 78 }, entry)
    await register({ origin: [entry] }).catch((error: Error) => t.ok(error.message.includes(message) && error.message.includes(JSON.stringify(entry)), error.message))
  }
  await t.resolves(register({ origin: ['https://chat.example', 'http://localhost:3000', 'http://[::1]:8080'] }))
})

test('wrong options of a route stop the boot and are named as they were written', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  const wrong: Array<[object, RegExp]> = [
    [{ authenticates: true }, /"websocket.authenticates", did you mean "authenticate"/],
    [{ authenticate: true }, /"websocket.authenticate" must be a function or false/],
    [{ origin: ['https://chat.example/'] }, /"websocket.origin" lists "https:\/\/chat.example\/"/],
    [{ pingInterval: 1 }, /unknown option "websocket.pingInterval"/],
    [{ maxMessagesPerSecond: -1 }, /"websocket.maxMessagesPerSecond" must be a whole number from 0/],
    [{ slowReader: 'drop' }, /"websocket.slowReader" must be .* got "drop"/],
    [{ protocols: ['a b'] }, /"websocket.protocols" must be an array.* got "a b" at index 0/],
    [{ topics: {} }, /"websocket.topics" must have a function "authorize"/],
    [{ topics: { authorize: true } }, /"websocket.topics.authorize" must be a function/],
    [{ messages: { 'keep.reply': { handler () {} } } }, /"websocket.messages.keep.reply" must be named otherwise/],
    [{ messages: { 'a b': { handler () {} } } }, /"websocket.messages.a b" must be named with words/],
    [{ messages: { say: {} } }, /"websocket.messages.say" must be an object with a "handler"/],
    [{ messages: { say: { handler () {}, shema: {} } } }, /"websocket.messages.say.shema", did you mean "schema"/],
    [{ signing: { keys: [] } }, /"websocket.signing.keys" must be an array, not empty/],
    [{ signing: { keys: [{ id: 'a', secret: 'too short, and secret' }] } }, /"websocket.signing.keys" must be (?!.*too short)/],
  ]
  for (const [options, message] of wrong) {
    t.throws(() => app.get('/', { websocket: options as WebSocketRouteOptions }, () => {}), { code: /^FST_KEEP_WEBSOCKET_OPTION_/, message, exitCode: 78 })
  }
  t.throws(() => app.route({ method: 'GET', url: '/', wsOptions: { orign: [] } as object, wsHandler: () => {}, handler: () => 'http' }), { message: /"wsOptions.orign", did you mean "origin"/ })
})

test('options that stand where they would mean something else stop the boot', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  const code = 'FST_KEEP_WEBSOCKET_ROUTE_OPTIONS_MISPLACED'
  t.throws(() => app.get('/http', { wsOptions: {} }, async () => 'http'), { code, message: /GET \/http has "wsOptions" but neither/ })
  t.throws(() => app.get('/both', { websocket: {}, wsOptions: {} }, () => {}), { code, message: /has both/ })
  t.throws(() => app.get('/true', { websocket: true, wsOptions: {} }, () => {}), { code, message: /write "websocket: \{ \.\.\. \}" instead/ })
  t.throws(() => app.route({ method: 'GET', url: '/object', websocket: {} as true, wsHandler: () => {}, handler: () => {} }), { code, message: /write it under "wsOptions"/ })
})

test('import and require() give the plugin, by default and by name', async t => {
  const required = createRequire(import.meta.url)('@fastkeep/websocket')
  t.equal(plugin, websocket)
  t.type(required, 'function')
  t.equal(required.websocket.name, required.name)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(required)
  t.ok(app.hasPlugin('@fastkeep/websocket'))
  t.type(app.websocket.publish, 'function')
})

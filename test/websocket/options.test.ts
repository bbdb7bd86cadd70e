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

test('wrong wsOptions stop the boot at their route', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  const route = (wsOptions: object) => () => app.get('/', { websocket: true, wsOptions: wsOptions as WebSocketRouteOptions }, () => {})
  t.throws(route({ autenticate: () => true }), { message: /"wsOptions.autenticate", did you mean "authenticate"/ })
  t.throws(route({ authenticate: true }), { message: /"wsOptions.authenticate" must be a function or false/ })
  t.throws(route({ origin: ['https://chat.example/'] }), { message: /"wsOptions.origin" lists "https:\/\/chat.example\/"/ })
  t.throws(route({ maxPayload: 1 }), { code: 'FST_KEEP_WEBSOCKET_OPTION_UNKNOWN' })
  t.throws(() => app.get('/http', { wsOptions: {} }, async () => 'http'), {
    code: 'FST_KEEP_WEBSOCKET_ROUTE_OPTIONS_MISPLACED',
    message: /GET \/http/,
  })
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

import { once } from 'node:events'
import { test, type Test } from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import type { WebSocket } from 'ws'
import websocket, { type MessageDefinitions, type WebSocketPluginOptions, type WebSocketRouteOptions } from '@fastkeep/websocket'
import { closing, deferred, nextText, open, serve, type ServerUnderTest } from './server-under-test.js'

const text = { type: 'object', required: ['text'], properties: { text: { type: 'string', maxLength: 5 } }, additionalProperties: false }

const echo: MessageDefinitions = {
  'chat.send': { schema: text, handler: ({ text }: { text: string }) => ({ said: text }) },
  toString: { handler: () => 'registered' },
}

async function chat (t: Test, messages: MessageDefinitions = echo, route: WebSocketRouteOptions = {}, options: WebSocketPluginOptions = {}, before: (app: FastifyInstance) => void = () => {}): Promise<ServerUnderTest & { client: WebSocket }> {
  const server = await serve(t, options, app => {
    before(app)
    app.get('/', { websocket: { messages, ...route } }, () => {})
  })
  return { ...server, client: await open(t, server, '/') }
}

/** What the server answers to a text, an object as JSON. */
async function answer (client: WebSocket, message: unknown): Promise<unknown> {
  const next = nextText(client)
  client.send(typeof message === 'string' ? message : JSON.stringify(message))
  return JSON.parse(await next)
}

test('a message with an id is answered by what its handler returns, one without is not', async t => {
  const { client } = await chat(t)
  client.send(JSON.stringify({ type: 'chat.send', data: { text: 'hello' } }))
  t.same(await answer(client, { type: 'chat.send', id: 1, data: { text: 'you' } }), { type: 'keep.reply', id: 1, data: { said: 'you' } })
  t.same(await answer(client, { type: 'toString', id: 'x', other: 'ignored' }), { type: 'keep.reply', id: 'x', data: 'registered' })
})

test('handlers get the data that the validator made, the socket, the request, and the instance as this', async t => {
  const seen = deferred<unknown[]>()
  const { client, app } = await chat(t, {
    add: {
      schema: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer', default: 2 } } },
      handler (this: FastifyInstance, data: { a: number, b: number }, socket, request) {
        seen.resolve([this.prefix, socket.peer, request.url])
        return data.a + data.b
      },
    },
    nothing: { handler: () => {} },
  }, {}, { authenticate: () => 'ada' })
  t.same(await answer(client, { type: 'add', id: 0, data: { a: '1' } }), { type: 'keep.reply', id: 0, data: 3 })
  t.same(await seen.promise, ['', 'ada', '/'])
  t.same(await answer(client, { type: 'nothing', id: 0 }), { type: 'keep.reply', id: 0 })
  t.ok(app)
})

test('data that the schema refuses is answered with what is wrong, and reaches no handler', async t => {
  let calls = 0
  const { client } = await chat(t, { 'chat.send': { schema: text, handler: () => { calls++ } } })
  for (const data of [undefined, null, 'text', [], {}, { text: 'longer than five' }, { text: { toString: 'x' } }]) {
    const { type, id, data: { code, message } } = await answer(client, { type: 'chat.send', id: 7, data }) as { type: string, id: number, data: { code: string, message: string } }
    t.same([type, id, code], ['keep.error', 7, 'FST_KEEP_WEBSOCKET_MESSAGE_REFUSED'], JSON.stringify(data))
    t.match(message, /^data/)
  }
  t.match(await answer(client, { type: 'chat.send', data: {} }), { type: 'keep.error', id: undefined })
  t.equal(calls, 0)
})

test('only registered names are reachable: no property of anything, no path to one', async t => {
  const { client } = await chat(t)
  for (const type of ['', 'chat', 'chat.send.call', 'chat.send.constructor', '__proto__', 'constructor', 'hasOwnProperty', 'valueOf', 'keep.reply', 'keep.topic', 'keep.subscribe', 'keep.proof', 'x'.repeat(10_000)]) {
    t.match(await answer(client, { type, id: 1 }), { type: 'keep.error', id: 1, data: { code: 'FST_KEEP_WEBSOCKET_MESSAGE_UNKNOWN', message: /^there is no message "/ } }, type.slice(0, 30))
  }
})

test('what is no envelope, or reaches for a prototype, closes the socket with 1007', async t => {
  const server = await serve(t, {}, app => { app.get('/', { websocket: { messages: echo } }, () => {}) })
  const wrong = [
    '', 'hello', '{', 'null', '1', '"chat.send"', '[]', '[{"type":"chat.send"}]', '{}', '{"type":1}', '{"type":null}', '{"type":["chat.send"]}',
    '{"type":"chat.send","id":""}', `{"type":"chat.send","id":"${'x'.repeat(65)}"}`, '{"type":"chat.send","id":-1}', '{"type":"chat.send","id":1.5}', '{"type":"chat.send","id":{}}', '{"type":"chat.send","id":null}',
    '{"type":"chat.send","id":1e300}',
    '{"type":"chat.send","__proto__":{"id":1}}', '{"type":"chat.send","data":{"a":{"__proto__":{"isAdmin":true}}}}',
    '{"type":"chat.send","data":{"\\u005f_proto__":{"isAdmin":true}}}', '{"type":"chat.send","data":{"constructor":{"prototype":{"isAdmin":true}}}}',
  ]
  for (const message of wrong) {
    const client = await open(t, server, '/')
    client.send(message)
    t.match(await closing(client), { code: 1007, reason: 'not an envelope' }, message.slice(0, 60))
  }
  t.equal(server.log.filter(({ code }) => code === 'FST_KEEP_WEBSOCKET_MESSAGE_MALFORMED').length, wrong.length)
  t.equal(({} as { isAdmin?: boolean }).isAdmin, undefined)
})

test('a handler that fails is logged, answered without its secrets, and the socket goes on', async t => {
  const failures: MessageDefinitions = {
    throws: { handler: () => { throw new Error('the password is 1234') } },
    rejects: { handler: async () => { throw new Error('the password is 1234') } },
    odd: { handler: async () => { throw undefined } }, // eslint-disable-line no-throw-literal
    circular: { handler: () => { const a: { a?: unknown } = {}; a.a = a; return a } },
    refuses: { handler: async () => { throw Object.assign(new Error('not yours'), { statusCode: 403, code: 'NOT_YOURS' }) } },
  }
  const { client, log } = await chat(t, failures)
  for (const type of ['throws', 'rejects', 'odd', 'circular']) {
    t.same(await answer(client, { type, id: 1 }), { type: 'keep.error', id: 1, data: { code: 'FST_KEEP_WEBSOCKET_MESSAGE_FAILED', message: 'internal error' } }, type)
  }
  t.same(await answer(client, { type: 'refuses', id: 1 }), { type: 'keep.error', id: 1, data: { code: 'NOT_YOURS', message: 'not yours' } })
  t.match(log.filter(({ code }) => code === 'FST_KEEP_WEBSOCKET_MESSAGE_FAILED').map(({ level, type, route }) => ({ level, type, route })),
    ['throws', 'rejects', 'odd', 'circular'].map(type => ({ level: 50, type, route: 'GET /' })))
})

test('a message whose handler is not done within replyTimeout is answered so, and what it does later is no answer', async t => {
  const late = deferred<void>()
  const { client, log } = await chat(t, {
    slow: { handler: async () => { await late.promise; throw new Error('too late') } },
    next: { handler: () => 'next' },
  }, { replyTimeout: 20 })
  t.match(await answer(client, { type: 'slow', id: 1 }), { type: 'keep.error', id: 1, data: { code: 'FST_KEEP_WEBSOCKET_MESSAGE_TIMEOUT', message: 'not done within 20 ms' } })
  late.resolve()
  t.match(await answer(client, { type: 'next', id: 2 }), { id: 2 })
  t.match(log.filter(({ code, level }) => code?.startsWith('FST_KEEP_WEBSOCKET_MESSAGE') === true && level >= 40), [
    { code: 'FST_KEEP_WEBSOCKET_MESSAGE_TIMEOUT' }, { code: 'FST_KEEP_WEBSOCKET_MESSAGE_FAILED', err: { message: 'too late' } },
  ])
})

test('no more than maxPendingMessages are handled at a time; the others wait, in order, and none is lost', async t => {
  let underWay = 0
  let most = 0
  const order: number[] = []
  const { client } = await chat(t, {
    work: {
      handler: async (n: number) => {
        order.push(n)
        most = Math.max(most, ++underWay)
        await new Promise(setImmediate)
        underWay--
        return n
      },
    },
  }, { maxPendingMessages: 3, maxMessagesPerSecond: 0 })
  const replies: number[] = []
  client.on('message', data => replies.push((JSON.parse(String(data)) as { id: number }).id))
  for (let id = 0; id < 500; id++) client.send(JSON.stringify({ type: 'work', id, data: id }))
  while (replies.length < 500) await once(client, 'message')
  t.equal(most, 3)
  const expected = Array.from({ length: 500 }, (_, id) => id)
  t.same(order, expected)
  t.same(replies.toSorted((a, b) => a - b), expected)
})

test('a reply with a schema is what the schema lets out', async t => {
  const { client } = await chat(t, {
    user: {
      reply: { type: 'object', properties: { name: { type: 'string' } } },
      handler: () => ({ name: 'ada', password: '1234' }),
    },
  })
  t.same(await answer(client, { type: 'user', id: 1 }), { type: 'keep.reply', id: 1, data: { name: 'ada' } })
})

test('schemas are compiled by the instance: shared ones resolve, a custom compiler is asked, a wrong one stops the boot', async t => {
  const shared = await chat(t, { say: { schema: { $ref: 'text#' }, handler: () => 'ok' } }, {}, {}, app => app.addSchema({ $id: 'text', ...text }))
  t.match(await answer(shared.client, { type: 'say', id: 1, data: { text: 'ab' } }), { data: 'ok' })
  t.match(await answer(shared.client, { type: 'say', id: 1, data: {} }), { type: 'keep.error' })

  // As Joi and TypeBox compilers answer.
  const custom = await chat(t, { say: { schema: { upper: true }, handler: (data: unknown) => data } }, {}, {}, app => {
    app.setValidatorCompiler(({ schema }) => (data: unknown) =>
      (schema as { upper?: boolean }).upper !== true ? true : typeof data === 'string' ? { value: data.toUpperCase() } : { error: new Error('data must be text') })
  })
  t.match(await answer(custom.client, { type: 'say', id: 1, data: 'loud' }), { data: 'LOUD' })
  t.match(await answer(custom.client, { type: 'say', id: 1, data: 1 }), { data: { code: 'FST_KEEP_WEBSOCKET_MESSAGE_REFUSED', message: 'data must be text' } })

  for (const wrong of [{ schema: { type: 'nonsense' } }, { reply: { $ref: 'nowhere#' } }]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(websocket)
    app.get('/', { websocket: { messages: { say: { ...wrong, handler: () => {} } } } }, () => {})
    await t.rejects(async () => await app.ready(), { code: 'FST_KEEP_WEBSOCKET_MESSAGE_SCHEMA_INVALID', message: /route GET \/, message "say": /, exitCode: 78 })
  }
})

test('messages that come before an async handler is ready wait for it', async t => {
  const ready = deferred<void>()
  const server = await serve(t, {}, app => {
    let greeting = ''
    app.get('/', { websocket: { messages: { greet: { handler: () => greeting } } } }, async () => {
      await ready.promise
      greeting = 'hello'
    })
  })
  const client = await open(t, server, '/')
  const reply = answer(client, { type: 'greet', id: 1 })
  client.ping()
  await once(client, 'pong')
  ready.resolve()
  t.match(await reply, { data: 'hello' })
})

test('a client that sees no pings may ask for a sign of life', async t => {
  const { client } = await chat(t)
  t.same(await answer(client, { type: 'keep.ping', id: 1 }), { type: 'keep.reply', id: 1 })
})

test('binary messages go to the listeners of the handler; where there is none the socket is closed with 1003', async t => {
  const server = await serve(t, {}, app => {
    app.get('/both', { websocket: { messages: echo } }, socket => { socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })) })
    app.get('/text', { websocket: { messages: echo } }, () => {})
  })
  const both = await open(t, server, '/both')
  both.send(Buffer.from([1, 2, 3]))
  t.same(await once(both, 'message'), [Buffer.from([1, 2, 3]), true])
  t.match(await answer(both, { type: 'toString', id: 1 }), { data: 'registered' })
  const textOnly = await open(t, server, '/text')
  textOnly.send(Buffer.from([1, 2, 3]))
  t.match(await closing(textOnly), { code: 1003 })
})

test('beside wsHandler the route still serves HTTP, with the schemas that it has', async t => {
  const server = await serve(t, {}, app => {
    app.route({
      method: 'GET',
      url: '/',
      schema: { querystring: { type: 'object', required: ['q'], properties: { q: { type: 'integer' } } }, headers: { type: 'object' } },
      wsOptions: { messages: echo },
      handler: async request => request.query,
      wsHandler: () => {},
    })
  })
  t.same(await (await fetch(`${server.origin}/?q=1`)).json(), { q: 1 })
  t.equal((await fetch(`${server.origin}/`)).status, 400)
  const client = await open(t, server, '/?q=2')
  t.match(await answer(client, { type: 'toString', id: 1 }), { data: 'registered' })
})

test('a client subscribes only where a route opens topics, and to what authorize lets it', async t => {
  const server = await serve(t, {}, app => {
    const authorize = async (_socket: unknown, topic: string) => topic !== 'secret' && (topic !== 'odd' || 'yes' as unknown as boolean)
    app.get('/', { websocket: { topics: { authorize, maxPerSocket: 2 } } }, () => {})
    app.get('/closed', { websocket: { messages: echo } }, () => {})
  })
  const client = await open(t, server, '/')
  t.same(await answer(client, { type: 'keep.subscribe', id: 1, data: { topic: 'news' } }), { type: 'keep.reply', id: 1, data: { topic: 'news' } })
  const published = nextText(client)
  t.equal(server.app.websocket.publish('news', { hello: 'you' }), 1)
  t.same(JSON.parse(await published), { type: 'keep.topic', topic: 'news', data: { hello: 'you' } })
  const refused = async (topic: unknown) => (await answer(client, { type: 'keep.subscribe', id: 2, data: { topic } }) as { data: { code: string } }).data.code
  t.equal(await refused('secret'), 'FST_KEEP_WEBSOCKET_TOPIC_REFUSED')
  t.equal(await refused('odd'), 'FST_KEEP_WEBSOCKET_TOPIC_REFUSED', 'only true will do')
  t.equal(await refused('all/#'), 'FST_KEEP_WEBSOCKET_TOPIC_INVALID')
  t.equal(await refused(1), 'FST_KEEP_WEBSOCKET_MESSAGE_REFUSED')
  t.match(await answer(client, { type: 'keep.subscribe', id: 3, data: { topic: 'other' } }), { type: 'keep.reply' })
  t.equal(await refused('third'), 'FST_KEEP_WEBSOCKET_TOPIC_LIMIT')
  t.match(await answer(client, { type: 'keep.unsubscribe', id: 4, data: { topic: 'news' } }), { type: 'keep.reply', data: { topic: 'news' } })
  t.equal(server.app.websocket.publish('news', 'nobody'), 0)
  const other = await open(t, server, '/closed')
  t.match(await answer(other, { type: 'keep.subscribe', id: 1, data: { topic: 'news' } }), { data: { code: 'FST_KEEP_WEBSOCKET_MESSAGE_UNKNOWN' } })
})

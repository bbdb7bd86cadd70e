import { test } from 'tap'
import Fastify, { type FastifyTypeProvider } from 'fastify'
import type { WebSocket } from 'ws'
import websocket, { type FastkeepWebSocket, type GuardedWebSocket, type GuardedWebSocketHandler, type MessageDefinitions, type Peer } from '@fastkeep/websocket'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

// The compiler is the one that fails here: `tsc -p test/tsconfig.json`.
const isSame = <A, B>(same: Same<A, B>) => same

test('handlers, routes and the instance are typed', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket, { authenticate: async request => request.headers.cookie ?? null })
  isSame<typeof app.websocket, FastkeepWebSocket>(true)

  app.get('/short', { websocket: { authenticate: false } }, (socket, request) => {
    isSame<typeof socket, GuardedWebSocket>(true)
    isSame<typeof request.ws, boolean>(true)
    isSame<typeof socket.peer, Peer>(true)
  })
  app.get<{ Params: { room: string } }>('/generic/:room', { websocket: true }, async (socket, request) => {
    isSame<typeof socket, GuardedWebSocket>(true)
    isSame<typeof request.params.room, string>(true)
  })
  app.route({
    method: 'GET',
    url: '/route',
    websocket: true,
    handler: socket => { isSame<typeof socket, GuardedWebSocket>(true) },
  })
  app.route({
    method: 'GET',
    url: '/both',
    handler: async () => 'http',
    wsHandler: socket => { isSame<typeof socket, GuardedWebSocket>(true) },
  })
  const handler: GuardedWebSocketHandler = function (socket) {
    socket.subscribe(this.prefix)
    const asWs: WebSocket = socket
    // @ts-expect-error a peer is given by authenticate, not by the handler
    socket.peer = 'ada'
    return asWs.close()
  }
  app.get('/typed', { websocket: true }, handler)
  // @ts-expect-error a plain route gets no socket
  app.get('/plain', socket => socket.subscribe('news'))
  app.get('/options', { websocket: { authenticate: false, maxPayload: 10 } }, socket => {
    isSame<typeof socket, GuardedWebSocket>(true)
    isSame<typeof socket.latency, number | undefined>(true)
  })
  // @ts-expect-error a limit is a number
  t.throws(() => app.get('/wrong', { websocket: { maxPayload: '1 MB' } }, () => {}), { code: 'FST_KEEP_WEBSOCKET_OPTION_INVALID' })
  await app.ready()
})

/** What a type provider such as that of TypeBox does, for one kind of schema. */
interface ConstProvider extends FastifyTypeProvider {
  validator: this['schema'] extends { const: infer Value } ? Value : unknown
}

test('the data of a message has the type that its schema has for the type provider', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  const typed = app.withTypeProvider<ConstProvider>()
  const greet = typed.websocket.message({
    schema: { const: 'hello' },
    handler: (data, socket) => {
      isSame<typeof data, 'hello'>(true)
      isSame<typeof socket, GuardedWebSocket>(true)
    },
  })
  typed.get('/', {
    websocket: {
      messages: {
        greet,
        count: { schema: { const: 7 }, handler: data => { isSame<typeof data, 7>(true) } },
        anything: { handler: data => { isSame<typeof data, unknown>(true) } },
      },
    },
  }, () => {})
  typed.route({
    method: 'GET',
    url: '/route',
    websocket: { messages: { count: { schema: { const: 7 }, handler: data => { isSame<typeof data, 7>(true) } } } },
    handler: socket => { isSame<typeof socket, GuardedWebSocket>(true) },
  })
  typed.route({
    method: 'GET',
    url: '/both',
    handler: async () => 'http',
    wsHandler: () => {},
    wsOptions: { messages: { count: { schema: { const: 7 }, handler: data => { isSame<typeof data, 7>(true) } } } },
  })
  // @ts-expect-error the schema says otherwise
  typed.get('/contradicted', {
    websocket: { messages: { count: { schema: { const: 7 }, handler: (data: string) => data } } },
  }, () => {})
  await app.ready()
  t.same(app.websocket.describe('GET /').messages, ['keep.ping', 'greet', 'count', 'anything'])
})

test('without a type provider the data of a message is unknown, or what its handler says', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  const schema = { type: 'object', required: ['text'], properties: { text: { type: 'string' } } }
  const messages: MessageDefinitions = { say: { schema, handler: ({ text }: { text: string }) => text } }
  app.get('/', { websocket: { messages } }, () => {})
  app.get('/inline', {
    websocket: {
      messages: {
        bare: { schema, handler: data => { isSame<typeof data, unknown>(true) } },
        // @ts-expect-error nothing is known of it
        wrong: { schema, handler: data => data.text },
        said: { schema, handler: ({ text }: { text: string }) => text },
      },
    },
  }, socket => { isSame<typeof socket, GuardedWebSocket>(true) })
  app.get<{ Params: { room: string } }>('/:room', {
    websocket: { messages: { said: { schema, handler: ({ text }: { text: string }) => text } } },
  }, (_socket, request) => { isSame<typeof request.params.room, string>(true) })
  await app.ready()
  t.same(app.websocket.describe('GET /inline').messages, ['keep.ping', 'bare', 'wrong', 'said'])
})

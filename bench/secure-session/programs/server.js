// A server with one kind of session. Arguments: the kind, and for those that need it the port of a Redis.
// GET /begin makes a session, /untouched leaves it alone, /read reads it, /write changes it. Prints its port.
import fastify from 'fastify'

const [kind = 'bare', place = ''] = process.argv.slice(2)
const secret = 'a secret of at least thirty-two characters, for the peers'
const app = fastify()

const ours = async options => {
  const { default: secureSession, generateKey } = await import('@fastkeep/secure-session')
  await app.register(secureSession, { keys: [generateKey()], development: true, ...options })
}
const official = async options => {
  const { default: cookie } = await import('@fastify/cookie')
  const { default: session } = await import('@fastify/session')
  await app.register(cookie)
  await app.register(session, { secret, cookie: { secure: false }, saveUninitialized: false, ...options })
}

const KINDS = {
  bare: async () => {},
  cookie: async () => { await app.register((await import('@fastify/cookie')).default) },
  sealed: () => ours({}),
  memory: async () => ours({ store: new (await import('@fastkeep/secure-session')).MemoryStore() }),
  lmdb: async () => ours({ store: new (await import('@fastkeep/secure-session/lmdb')).LmdbStore({ path: place }) }),
  redis: async () => {
    const { Redis } = await import('ioredis')
    const { RedisStore } = await import('@fastkeep/secure-session/redis')
    await ours({ store: new RedisStore({ client: new Redis({ host: '127.0.0.1', port: Number(place), enableAutoPipelining: true }) }) })
  },
  '@fastify/secure-session': async () => {
    const { default: session } = await import('@fastify/secure-session')
    const { randomBytes } = await import('node:crypto')
    await app.register(session, { key: randomBytes(32), cookie: { path: '/' } })
  },
  '@fastify/session memory': () => official({}),
  '@fastify/session connect-redis': async () => {
    const { createClient } = await import('redis')
    const { RedisStore } = await import('connect-redis')
    const client = createClient({ url: `redis://127.0.0.1:${place}` })
    await client.connect()
    await official({ store: new RedisStore({ client }) })
  },
  'iron-session': async () => {
    const { getIronSession } = await import('iron-session')
    app.addHook('preHandler', async (request, reply) => {
      if (request.url === '/untouched') return
      request.session = await getIronSession(request.raw, reply.raw, { password: secret, cookieName: 'session', cookieOptions: { secure: false } })
    })
    app.addHook('onSend', async request => { if (request.url === '/write' || request.url === '/begin') await request.session.save() })
  },
}

await KINDS[kind]()
const hasSession = !['bare', 'cookie'].includes(kind)
let count = 0
app.get('/untouched', async () => ({ hello: 'world' }))
app.get('/begin', async request => {
  Object.assign(request.session, { user: 'ada', role: 'editor', visits: 1 })
  return {}
})
app.get('/read', async request => ({ hello: hasSession ? request.session.user : 'world' }))
app.get('/write', async request => {
  if (hasSession) request.session.visits = ++count
  return { hello: 'world' }
})
await app.listen({ host: '127.0.0.1', port: 0 })
console.log(`serving ${app.server.address().port}`)

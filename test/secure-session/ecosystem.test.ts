import csrfProtection from '@fastify/csrf-protection'
import flash from '@fastify/flash'
import { Authenticator, Strategy } from '@fastify/passport'
import { type FastifyInstance, type FastifyRequest } from 'fastify'
import { test } from 'tap'
import { MemoryStore } from '@fastkeep/secure-session'
import { Browser, httpApp, key } from './https-app.ts'

const modes = [['sealed cookie', {}], ['store', { store: new MemoryStore() }]] as const

for (const [mode, more] of modes) {
  for (const sessionPlugin of ['@fastify/secure-session', '@fastify/session'] as const) {
    test(`${mode}: works under @fastify/csrf-protection, told to be ${sessionPlugin}`, async t => {
      const { app } = await httpApp(t, { keys: [key], development: true, ...more })
      await app.register(csrfProtection, { sessionPlugin })
      app.get('/token', async (_request, reply) => reply.generateCsrf())
      app.post('/change', { onRequest: (app as FastifyInstance & { csrfProtection: never }).csrfProtection }, async () => 'changed')
      const browser = await Browser.of(t, app)
      const token = (await browser.fetch('/token')).body
      t.equal((await browser.fetch('/change', 'POST')).statusCode, 403)
      t.match(await browser.fetch('/change', 'POST', { 'csrf-token': token }), { statusCode: 200, body: 'changed' })
    })
  }

  test(`${mode}: works under @fastify/flash`, async t => {
    const { app } = await httpApp(t, { keys: [key], development: true, ...more })
    await app.register(flash)
    app.get('/set', async request => { request.flash('info', 'saved'); return '' })
    app.get('/show', async (_request, reply) => (reply as unknown as { flash: (kind: string) => string[] }).flash('info'))
    const browser = await Browser.of(t, app)
    await browser.fetch('/set')
    t.equal((await browser.fetch('/show')).body, '["saved"]')
    t.equal((await browser.fetch('/show')).body, '[]')
  })

  test(`${mode}: works under @fastify/passport: a login changes the id, a logout ends it for the former cookie too`, async t => {
    const { app } = await httpApp(t, { keys: [key], development: true, ...more })
    const passport = new Authenticator()
    await app.register(passport.initialize())
    await app.register(passport.secureSession())
    passport.registerUserSerializer(async (user: { name: string }) => user.name)
    passport.registerUserDeserializer(async (name: string) => ({ name }))
    passport.use('any', new (class extends Strategy {
      override authenticate (request: FastifyRequest): void { this.success({ name: String(request.headers['x-user']) }) }
    })('any'))
    app.get('/visit', async ({ session }) => { session.visits = 1; return session.id })
    app.post('/login', { preValidation: passport.authenticate('any', { authInfo: false }) }, async ({ session }) => session.id)
    app.post('/logout', async request => { await request.logOut(); return '' })
    app.get('/me', async request => ({ me: (request.user as { name: string } | null)?.name }))
    const browser = await Browser.of(t, app)
    const before = (await browser.fetch('/visit')).body
    const after = (await browser.fetch('/login', 'POST', { 'x-user': 'ada' })).body
    t.not(after, before)
    t.equal((await browser.fetch('/me')).body, '{"me":"ada"}')
    const copied = new Browser(browser.origin)
    copied.cookies.set('session', browser.cookies.get('session')!)
    await browser.fetch('/logout', 'POST')
    for (const visitor of [browser, copied]) t.equal((await visitor.fetch('/me')).body, '{}')
  })
}

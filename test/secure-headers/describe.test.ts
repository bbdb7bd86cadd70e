import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import secureHeaders, { type DescribedHeader } from '@fastkeep/secure-headers'
import { DOCUMENT } from './policies.js'
import { ask, listen, page } from './servers.js'

function header (headers: readonly DescribedHeader[], name: string): DescribedHeader | undefined {
  return headers.find(header => header.name === name)
}

async function app (): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(secureHeaders, { preset: 'strict', xFrameOptions: 'SAMEORIGIN', contentSecurityPolicy: { directives: { imgSrc: { append: ['https:'] } } } })
  app.get('/', page)
  app.route({ method: ['PUT', 'POST'], url: '/many', secureHeaders: { referrerPolicy: 'origin', permissionsPolicy: { camera: ['self'] } }, handler: page })
  app.get('/off', { secureHeaders: false }, page)
  await app.register(async child => {
    child.get('/before', page)
    await child.register(secureHeaders, { contentSecurityPolicy: { directives: { fontSrc: ['https:'] } } })
    child.get('/after', page)
  }, { prefix: '/child' })
  return app
}

test('describe tells the headers of a route and who decided each', async t => {
  const { secureHeaders } = await app()
  const { document } = secureHeaders.describe({ url: '/' })
  t.match(header(document, 'x-frame-options'), { value: 'SAMEORIGIN', from: 'plugin options', onlyOverTls: false })
  t.match(header(document, 'x-content-type-options'), { value: 'nosniff', from: 'default' })
  t.match(header(document, 'cross-origin-embedder-policy'), { value: 'require-corp', from: 'preset strict' })
  t.match(header(document, 'strict-transport-security'), { from: 'default', onlyOverTls: true })
  t.match(header(document, 'content-security-policy'), {
    value: /script-src 'nonce' 'strict-dynamic'/,
    from: 'plugin options',
    directives: { 'img-src': 'plugin options', 'script-src': 'preset strict', 'object-src': 'default' },
  })
})

test('it tells the parts that a route or a scope has changed, even for a route added before its scope was', async t => {
  const { secureHeaders } = await app()
  for (const method of ['PUT', 'post']) {
    const { document } = secureHeaders.describe({ url: '/many', method })
    t.match(header(document, 'referrer-policy'), { value: 'origin', from: 'route' })
    t.match(header(document, 'permissions-policy')?.directives, { camera: 'route', geolocation: 'default' })
  }
  for (const url of ['/child/before', '/child/after']) {
    t.match(header(secureHeaders.describe({ url }).document, 'content-security-policy')?.directives,
      { 'font-src': 'scope /child', 'img-src': 'plugin options' }, url)
  }
})

test('it names the functions that have a say in a policy', async t => {
  const service = Fastify()
  const tenant = (): string => 'https://a.example'
  await service.register(secureHeaders, { contentSecurityPolicy: { directives: { imgSrc: { append: [tenant] } } } })
  t.match(header(service.secureHeaders.describe().document, 'content-security-policy')?.value, "img-src 'self' data: tenant();")
})

test('it tells the classes of content apart', async t => {
  const { api, asset } = (await app()).secureHeaders.describe({ url: '/' })
  t.same(api.map(({ name }) => name), ['content-security-policy', 'strict-transport-security', 'cross-origin-resource-policy', 'x-content-type-options', 'cache-control'])
  t.same(header(api, 'content-security-policy')?.directives, { 'default-src': 'default', 'base-uri': 'default', 'form-action': 'default', 'frame-ancestors': 'default' })
  t.same(asset.map(({ name }) => name), ['content-security-policy', 'strict-transport-security', 'cross-origin-resource-policy', 'x-content-type-options'])
})

test('a route that sends none has none, one that is unknown is an error, and the scope itself can be described', async t => {
  const service = await app()
  t.same(service.secureHeaders.describe({ url: '/off' }), { document: [], api: [], asset: [] })
  t.throws(() => service.secureHeaders.describe({ url: '/nowhere' }), { code: 'FST_KEEP_SECURE_HEADERS_ROUTE_UNKNOWN', message: /GET \/nowhere/ })
  t.equal(header(service.secureHeaders.describe().document, 'x-frame-options')?.value, 'SAMEORIGIN')
})

test('what is described is what is sent', async t => {
  const service = Fastify({ trustProxy: true })
  await service.register(secureHeaders)
  service.get('/', page)
  const port = await listen(t, service)
  const { headers } = await ask(port, '/', { headers: { 'x-forwarded-proto': 'https' } })
  const described = service.secureHeaders.describe({ url: '/' }).document
  t.match(headers, Object.fromEntries(described.map(({ name, value }) => [name, value])))
  t.equal(described.length, Object.keys(DOCUMENT).length + 1)
})

// A service with one JSON and one HTML route; the argument says what adds the headers. Prints its port.
import Fastify from 'fastify'

const PAGE = '<!doctype html><title>Hello</title>' + '<p>A page of no great length.</p>'.repeat(30)

/** What is registered, and the nonce that a page then has. */
const VARIANTS = {
  bare: { nonce: () => 'none' },
  'secure-headers': { plugin: '@fastkeep/secure-headers', nonce: () => 'none' },
  'secure-headers, nonce': { plugin: '@fastkeep/secure-headers', nonce: reply => reply.cspNonce },
  '@fastify/helmet': { plugin: '@fastify/helmet', nonce: () => 'none' },
  '@fastify/helmet, nonces': { plugin: '@fastify/helmet', options: { enableCSPNonces: true }, nonce: reply => reply.cspNonce.script },
}

const { plugin, options = {}, nonce } = VARIANTS[process.argv[2]]
const app = Fastify()
if (plugin !== undefined) await app.register((await import(plugin)).default, options)
app.get('/json', async () => ({ hello: 'world', list: [1, 2, 3] }))
app.get('/html', async (_request, reply) => {
  reply.type('text/html; charset=utf-8')
  return `${PAGE}<script nonce="${nonce(reply)}"></script>`
})
await app.listen({ host: '127.0.0.1', port: 0 })
console.log(`serving ${app.server.address().port}`)

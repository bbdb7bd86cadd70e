// An HTTPS server for the bench: ours, ours with a map of 1,000 names, or bare node:https on the same options.
import https from 'node:https'
import { createServerContext } from '@fastkeep/tls-context'

const { kind, cert, key } = JSON.parse(process.argv[2])
const names = kind === 'names' ? Object.fromEntries(Array.from({ length: 1_000 }, (_value, index) => [`n${index}.example.test`, { cert, key }])) : {}
const context = createServerContext({ cert, key, names })
const options = kind === 'bare' ? withoutOurs(context.options) : context.options
const server = https.createServer(options, (_request, response) => response.end('ok'))
if (kind !== 'bare') context.attach(server)
server.on('tlsClientError', () => {})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))

/** Suites, groups and certificate stay; keys of tickets are Node's own. */
function withoutOurs ({ ticketKeys, SNICallback, sessionTimeout, sessionIdContext, secureOptions, ...rest }) {
  return rest
}

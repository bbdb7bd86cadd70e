// An HTTPS server for the bench, with one certificate or with a map of 1,000 names: ours, or bare node:https on the same options.
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { createSecureContext } from 'node:tls'
import { createServerContext } from '@fastkeep/tls-context'

const { kind, cert, key } = JSON.parse(process.argv[2])
const isBare = kind.startsWith('bare')
const hosts = kind.endsWith('names') ? Array.from({ length: 1_000 }, (_value, index) => `n${index}.example.test`) : []
const context = createServerContext({ cert, key, names: isBare ? {} : Object.fromEntries(hosts.map(host => [host, { cert, key }])) })
const options = isBare ? withoutOurs(context.options) : context.options
if (isBare && hosts.length > 0) options.SNICallback = bareCallback()
const server = https.createServer(options, (_request, response) => response.end('ok'))
if (!isBare) context.attach(server)
server.on('tlsClientError', () => {})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))

/** Suites, groups and certificate stay; keys of tickets are Node's own. */
function withoutOurs ({ ticketKeys, SNICallback, sessionTimeout, sessionIdContext, secureOptions, ...rest }) {
  return rest
}

/** What Node's documentation leaves to everybody. */
function bareCallback () {
  const { cert: _cert, key: _key, ...rest } = options
  const contexts = new Map(hosts.map(host => [host, createSecureContext({ ...rest, cert: readFileSync(cert), key: readFileSync(key) })]))
  return (name, callback) => callback(null, contexts.get(name))
}

import { Agent, fetch as undiciFetch, type RequestInfo, type RequestInit, type Response } from 'undici'
import type { ClientContext } from './client-context.js'

/**
 * A dispatcher of undici whose connections pass the checks of a client context. For the package `undici`, which has to be
 * installed, and for Node's own `fetch` with it.
 *
 * @param options those of undici's `Agent`, but for `connect`
 * @example
 * import { createDispatcher } from '@fastkeep/tls-context/undici'
 * await fetch('https://service.internal/', { dispatcher: createDispatcher(client) })
 */
export function createDispatcher (client: ClientContext, options: Omit<Agent.Options, 'connect'> = {}): Agent {
  return new Agent({
    ...options,
    connect: ({ hostname, port, protocol, servername }, callback) => {
      if (protocol !== 'https:') return callback(new TypeError(`this dispatcher speaks https alone, and not ${protocol}`), null)
      const name = servername ?? hostname
      client.connect({ host: hostname, port: Number(port || 443), ...!/^[\d.]+$|:/.test(name) && { servername: name }, ALPNProtocols: ['http/1.1'] })
        .then(socket => callback(null, socket), (error: Error) => callback(error, null))
    },
  })
}

/**
 * A `fetch` whose connections pass the checks of a client context.
 *
 * @example const answer = await createFetch(client)('https://service.internal/')
 */
export function createFetch (client: ClientContext): (input: RequestInfo, init?: RequestInit) => Promise<Response> {
  const dispatcher = createDispatcher(client)
  return async (input, init) => await undiciFetch(input, { ...init, dispatcher })
}

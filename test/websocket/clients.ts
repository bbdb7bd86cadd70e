import { once } from 'node:events'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { connect, type Client, type ClientEvents, type ClientOptions, type WebSocketConstructor } from '@fastkeep/websocket/client'
import type { ServerUnderTest } from './server-under-test.js'

/** The WebSocket of a page of this origin. */
export function pageSocket (origin: string): WebSocketConstructor {
  return class extends WebSocket {
    constructor (url: string | URL, protocols?: string | string[]) {
      super(url, protocols, { origin })
    }
  }
}

/** A client of a page of the server's own, which comes back without delay; it ends with the test. */
export function client (t: Test, { host, origin }: Pick<ServerUnderTest, 'host' | 'origin'>, path = '/', options: ClientOptions = {}): Client {
  const made = connect(`ws://${host}${path}`, { WebSocket: pageSocket(origin), minDelay: 1, ...options })
  t.teardown(() => made.close())
  return made
}

/** The next event of this name. */
export async function next<Name extends keyof ClientEvents> (client: Client, name: Name): Promise<ClientEvents[Name]> {
  return await new Promise(resolve => {
    const forget = client.on(name, event => {
      forget()
      resolve(event)
    })
  })
}

/** Until what is so now has been seen by the other side: an event that is awaited in turns. */
export async function turns (isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate)
}

/** The socket of the server to the next client. */
export async function accepted (server: ServerUnderTest): Promise<WebSocket> {
  const [socket] = await once(server.app.websocketServer, 'connection') as [WebSocket]
  return socket
}

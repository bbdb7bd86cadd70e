import type { Publication } from '../publication.js'
import type { Broker, BrokerEvents } from './broker.js'

/** The part of `engine.peers` of @fastkeep/engine that is used. */
export interface Peers {
  send (topic: string, data: unknown): boolean
  on (topic: string, listener: (data: unknown) => void): () => void
}

/** A publication in JSON: bytes as base64. */
interface PeerPublication extends Omit<Publication, 'payload'> {
  readonly payload: string
}

const CHANNEL = '@fastkeep/websocket:publication'

/** Characters of the JSON text of a payload. The channel takes 4 Mi for all of a message; a longer one ends it. */
const LONGEST_PAYLOAD = 3 * 1024 * 1024

/** What one character can become in JSON: `\u0000`. */
const LONGEST_ESCAPE = 6

/** For the workers of one supervisor, over the channel that each has to it. */
export function workersBroker (peers: Peers): Broker {
  let events: BrokerEvents | undefined
  let stopListening = (): void => {}
  let missed = 0

  return {
    open (given) {
      events = given
      stopListening = peers.on(CHANNEL, data => {
        const publication = read(data)
        if (publication !== undefined) given.deliver(publication)
      })
    },
    publish ({ topic, kind, payload, key }) {
      const text = typeof payload === 'string' ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64')
      if (isTooLong(text)) {
        events?.refused(new Error(`a publication to ${JSON.stringify(topic)} is too large for the channel between workers: ${text.length} characters`))
      } else if (!peers.send(CHANNEL, { topic, kind, payload: text, key } satisfies PeerPublication)) {
        if (missed++ === 0) events?.away(new Error('the supervisor does not read'))
      } else if (missed > 0) {
        events?.back(missed)
        missed = 0
      }
    },
    // All workers get all: they are few.
    subscribe () {},
    unsubscribe () {},
    async close () { stopListening() },
  }
}

function isTooLong (text: string): boolean {
  return text.length * LONGEST_ESCAPE > LONGEST_PAYLOAD && JSON.stringify(text).length > LONGEST_PAYLOAD
}

/** A worker may be in the hands of an attacker, or of another version. */
function read (data: unknown): Publication | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  const { topic, kind, payload, key } = data as Record<string, unknown>
  if (typeof topic !== 'string' || typeof payload !== 'string' || (key !== undefined && typeof key !== 'string')) return undefined
  if (kind === 'binary') return { topic, kind, payload: Buffer.from(payload, 'base64'), key }
  return kind === 'text' || kind === 'json' ? { topic, kind, payload, key } : undefined
}

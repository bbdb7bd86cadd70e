import type { Data, Link } from './connection.js'
import { localError } from './errors.js'

/** One key of a ring that the server knows too. */
export interface SigningKey {
  /** 1 to 16 characters of `A-Z a-z 0-9 _ -`; goes over the wire with each message. */
  readonly id: string
  /** At least 32 bytes; a string counts as its UTF-8 bytes. */
  readonly secret: string | Uint8Array
}

export interface SigningOptions {
  /** The first signs, each verifies. */
  readonly keys: readonly SigningKey[]
}

type Bytes = Uint8Array<ArrayBuffer>

const HELLO = /^\{"type":"keep\.hello","nonce":"([\w-]{22})"\}$/
/** Where the payload begins in what is signed. */
const PAYLOAD = 43
const PROOF = '{"type":"keep.proof"}'

/**
 * Makes links whose messages carry a MAC over all that they depend on, by PROTOCOL.md of this package: hello, proof,
 * then the application's. Throws FST_KEEP_WEBSOCKET_CLIENT_UNSUPPORTED where there is no WebCrypto.
 */
export function signedLinks ({ keys }: SigningOptions): (link: Link) => Omit<Link, 'refuse'> {
  const subtle = globalThis.crypto?.subtle
  if (!subtle) throw localError('UNSUPPORTED', 'no WebCrypto: not a page of https:')
  const ring = new Map(keys.map(({ id, secret }) => [id, subtle.importKey('raw', bytesOf(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify'])]))
  const [{ id: signer }] = keys as [SigningKey]

  return ({ write, ready, message, refuse }) => {
    const nonce = crypto.getRandomValues(new Uint8Array(16))
    let serverNonce: Bytes | undefined
    let sent = 0
    let received = 0
    // WebCrypto answers when it likes; what is sent and what comes keeps its order.
    let sending = Promise.resolve()
    let receiving = Promise.resolve()

    function signedBytes (direction: 'c' | 's', sequence: number, payload: Data): Bytes {
      // Its upper half would be needed after 4 billion messages.
      const counter = [0, 0, 0, 0, sequence >>> 24, sequence >>> 16, sequence >>> 8, sequence]
      return bytesOf(`\x01${direction}${typeof payload === 'string' ? 't' : 'b'}`, nonce, serverNonce!, counter, payload)
    }

    function send (data: Data): void {
      // Holds a copy: the caller may use its bytes again as soon as this returns.
      const signed = signedBytes('c', sent++, data)
      sending = sending.then(async () => {
        const mac = new Uint8Array(await subtle.sign('HMAC', (await ring.get(signer))!, signed))
        write(typeof data === 'string' ? `${signer}.${toBase64url(mac)}.${data}` : bytesOf(signer.padEnd(16, '\0'), mac, signed.subarray(PAYLOAD)))
      })
    }

    async function take (data: Data): Promise<void> {
      if (serverNonce === undefined) {
        serverNonce = fromBase64url(HELLO.exec(data as string)![1]!)
        send(PROOF)
        return
      }
      const [id, mac, payload] = typeof data === 'string' ? textParts(data) : binaryParts(bytesOf(data))
      const isProof = received === 0
      const isRight = await subtle.verify('HMAC', (await ring.get(id))!, mac, signedBytes('s', received++, payload))
      if (!isRight || (isProof && payload !== PROOF)) throw new Error()
      if (isProof) ready()
      else message(payload)
    }

    return {
      ready: () => write(`{"type":"keep.hello","nonce":"${toBase64url(nonce)}"}`),
      write: send,
      message: data => {
        // Whatever is wrong with it, nothing of it is to be believed.
        receiving = receiving.then(() => take(data)).catch(() => refuse('wrong signature'))
      },
    }
  }
}

type Parts = [id: string, mac: Bytes, payload: Data]

function textParts (text: string): Parts {
  const [, id, mac, payload] = /^(.*?)\.(.*?)\.([^]*)/.exec(text)!
  return [id!, fromBase64url(mac!), payload!]
}

/** 16 bytes of key id, filled up with zero bytes, and 32 of MAC come before the payload. */
function binaryParts (bytes: Bytes): Parts {
  const id = String.fromCharCode(...bytes.subarray(0, 16)).replace(/\0+$/, '')
  return [id, bytes.slice(16, 48), bytes.slice(48).buffer]
}

/** All of it, in bytes of its own. */
function bytesOf (...parts: Array<Data | number[]>): Bytes {
  const bytes = parts.map(part => typeof part === 'string' ? new TextEncoder().encode(part) : new Uint8Array(part as ArrayBuffer))
  const whole = new Uint8Array(bytes.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const part of bytes) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

function toBase64url (bytes: Bytes): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+/, '')
}

function fromBase64url (text: string): Bytes {
  return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), char => char.charCodeAt(0))
}

import { configurationError, KeyInvalid, KeysContradict } from '../errors.js'
import { readKeyFile, type KeyFileReaders } from './key-file.js'
import { KEY_BYTES } from './key-ring.js'

export interface KeySources {
  readonly keys?: ReadonlyArray<Uint8Array | string> | undefined
  readonly keyFile?: string | undefined
  readonly keyFileReaders?: KeyFileReaders | undefined
}

type Keys = readonly [Buffer, ...Buffer[]]

/** Reads the keys from the one source that is given; the environment counts only where neither option is. */
export function readKeys ({ keys, keyFile, keyFileReaders = 'owner' }: KeySources, environment: NodeJS.ProcessEnv): Keys | undefined {
  if (keys !== undefined && keyFile !== undefined) throw configurationError(new KeysContradict())
  if (keys !== undefined) return decoded(keys, 'option "keys", entry')
  if (keyFile !== undefined) {
    const found = decoded(wordsOf(readKeyFile(keyFile, keyFileReaders, environment), /\r?\n/), `option "keyFile": "${keyFile}", key`)
    if (found === undefined) throw configurationError(new KeyInvalid(`option "keyFile": "${keyFile}"`, 'has no key in it'))
    return found
  }
  return decoded(wordsOf(environment.FASTKEEP_SESSION_KEYS ?? '', /[\s,]+/), 'FASTKEEP_SESSION_KEYS, key')
}

function wordsOf (text: string, separator: RegExp): string[] {
  return text.split(separator).map(word => word.trim()).filter(word => word !== '')
}

function decoded (values: ReadonlyArray<Uint8Array | string>, source: string): Keys | undefined {
  const [first, ...rest] = values.map((value, index) => decodeKey(value, `${source} ${index + 1},`))
  return first === undefined ? undefined : [first, ...rest]
}

function decodeKey (value: Uint8Array | string, where: string): Buffer {
  const key = Buffer.from(value as string, 'base64')
  if (typeof value === 'string' && key.toString('base64') !== value) {
    throw configurationError(new KeyInvalid(where, 'is not base64 (RFC 4648, section 4, with padding)'))
  }
  if (key.length !== KEY_BYTES) throw configurationError(new KeyInvalid(where, `has ${key.length} bytes and must have ${KEY_BYTES}`))
  if (isText(key) || new Set(key).size < KEY_BYTES / 2) {
    throw configurationError(new KeyInvalid(where, 'is not random: passwords, hexadecimal digits and repeated bytes are no keys'))
  }
  return key
}

// Of 32 random bytes, that all are printable ASCII happens once in 10^13 keys; that half of them repeat, far less often.
function isText (key: Buffer): boolean {
  return key.every(byte => byte >= 0x20 && byte < 0x7f)
}

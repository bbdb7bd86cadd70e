import { hash } from 'node:crypto'

/** What a store and a `revocation` know of a session's id: its SHA-256 in base64url, from which no cookie can be made. */
export function storedId (id: string): string {
  return hash('sha256', id, 'base64url')
}

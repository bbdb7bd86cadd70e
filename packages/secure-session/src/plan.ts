import type { SessionRecord } from './session-record.js'
import type { FieldChanges } from './stores/store.js'

interface Written {
  readonly record: SessionRecord
  readonly fields: FieldChanges
  /** All data as JSON text. */
  readonly data: () => string
}

/** What must become of a session at the end of a request. */
export type Plan =
  | { readonly kind: 'nothing' | 'renew' | 'destroy' }
  | { readonly kind: 'create' | 'patch' } & Written
  | { readonly kind: 'rename' } & Written & {
    /** Changes from before the new id: those that wait for the old one see them too. */
    readonly before: FieldChanges
    /** The fields that are kept. */
    readonly only: readonly string[]
    readonly isLogin: boolean
  }

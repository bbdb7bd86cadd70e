/** What the engine keeps for a service whose processes may not read, or ask for, everything themselves. */
interface KeptSecrets {
  /** Bytes of a file that only the supervisor may read, by absolute path; the newest that it has sent. */
  file (path: string): Buffer | undefined
  /** A passphrase that was typed on the launcher's terminal, or is asked for now where this process may ask. */
  askPassphrase (of: string): string | undefined
}

const key = Symbol.for('@fastkeep/engine:secrets')

/** `undefined` without the engine. One for all copies of the engine in this process. */
export function keptSecrets (): KeptSecrets | undefined {
  return (globalThis as { [key: symbol]: KeptSecrets | undefined })[key]
}

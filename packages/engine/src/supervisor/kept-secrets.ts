import type { ChildProcess } from 'node:child_process'
import { closeSync, readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { askOnTerminal } from '@fastkeep/terminal'
import { PassphraseMissing } from '../errors.js'

/** What one process of a service hands to another: over a descriptor of its own, never by the environment or an argument. */
export interface SecretsBundle {
  /** Base64 by absolute path. */
  readonly files: Readonly<Record<string, string>>
  /** By the absolute path of what they open. */
  readonly passphrases: Readonly<Record<string, string>>
}

/**
 * The secrets that this process cannot have by itself: files that only the supervisor may read, and what was typed on
 * the terminal of the launcher. One for all copies of this module; whoever cannot import it finds it under
 * `Symbol.for('@fastkeep/engine:secrets')`.
 */
export class KeptSecrets {
  /** Workers share a terminal with each other and the supervisor: there nobody is asked. */
  mayAsk = true
  #files = new Map<string, Buffer>()
  readonly #passphrases = new Map<string, string>()

  /** The newest content that the supervisor has sent. */
  file (path: string): Buffer | undefined {
    const content = this.#files.get(path)
    return content === undefined ? undefined : Buffer.from(content)
  }

  /**
   * Typed once, for this process and those that it starts.
   *
   * @param of absolute path of the key that it opens
   * @returns `undefined` where nobody can be asked, or nothing was typed
   */
  askPassphrase (of: string): string | undefined {
    const answer = this.#passphrases.get(of) ?? (this.mayAsk ? askOnTerminal(`Passphrase of ${of}: `) : undefined)
    if (answer === undefined || answer === '') return undefined
    this.#passphrases.set(of, answer)
    return answer
  }

  /** For a process that runs the same program as this one; one that needs files of its own gets those. */
  bundle (files: SecretsBundle['files'] = {}): SecretsBundle {
    return { files, passphrases: Object.fromEntries(this.#passphrases) }
  }

  receive ({ files, passphrases }: SecretsBundle): void {
    this.#files = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content, 'base64')]))
    for (const [of, passphrase] of Object.entries(passphrases)) this.#passphrases.set(of, passphrase)
  }

  /** What the process that started this one has written to the descriptor; done when that has written all of it. */
  take (descriptor: number): void {
    try {
      const text = readFileSync(descriptor, 'utf8')
      closeSync(descriptor)
      if (text !== '') this.receive(JSON.parse(text) as SecretsBundle)
    } catch {
      // A note that was left over: its descriptors are not there.
    }
  }
}

/** @param descriptor of the child's `stdio`, a pipe */
export function handSecrets (child: ChildProcess, descriptor: number, bundle: SecretsBundle): void {
  // Of one that the system did not start, Node leaves the streams out.
  const pipe = (child.stdio as ChildProcess['stdio'] | undefined)?.[descriptor] as Duplex | undefined
  // A child that ends before it has read them says by its end what there is to say.
  pipe?.on('error', () => {}).resume().end(JSON.stringify(bundle))
}

export const keptSecrets = sharedSecrets()

function sharedSecrets (): KeptSecrets {
  const key = Symbol.for('@fastkeep/engine:secrets')
  const holder = globalThis as { [key: symbol]: KeptSecrets | undefined }
  const secrets = holder[key] ?? new KeptSecrets()
  holder[key] = secrets
  return secrets
}

/**
 * Asks for passphrases on the terminal, each once in the life of a service: what is typed reaches its daemon, workers and
 * successors. To be called before `launchDaemon()`, which leaves the terminal.
 *
 * @param files that they open
 * @throws `FST_KEEP_ENGINE_PASSPHRASE_MISSING` (78) where there is no terminal, or nothing was typed
 * @example askPassphrases(['/etc/shop/key.pem'])
 */
export function askPassphrases (files: readonly string[]): void {
  const { resolve } = process.getBuiltinModule('node:path')
  for (const file of files) {
    const path = resolve(file)
    if (keptSecrets.askPassphrase(path) === undefined) throw new PassphraseMissing(path)
  }
}

// Loads the app that its first argument names, after the modules that the others name, in a process of its own, and prints
// what it is as the last line, with what the TLS contexts that it made have to say.
import { subscribe } from 'node:diagnostics_channel'
import type { ServerContext } from '@fastkeep/tls-context'
import type { ContextSummary } from './certificate-check.js'
import { importModules } from './import-modules.js'
import { loadApp, type LoadedApp } from './load-app.js'

/** What it prints, as JSON. */
export interface CheckedApp {
  readonly kind: LoadedApp['kind']
  readonly contexts: readonly ContextSummary[]
}

const contexts: ContextSummary[] = []
subscribe('fastkeep:tls-context:created', message => {
  const { context: { expiries, findings } } = message as { context: ServerContext }
  contexts.push({ expiries, findings })
})

const [app = '', ...imports] = process.argv.slice(2)
try {
  await importModules(imports)
  const { kind } = await loadApp(app)
  process.stdout.write(`\n${JSON.stringify({ kind, contexts } satisfies CheckedApp)}\n`, () => process.exit(0))
} catch (error) {
  const { message = String(error), exitCode = 70 } = (error ?? {}) as { message?: string, exitCode?: number }
  process.stderr.write(`\n${message.replaceAll('\n', ' ')}\n`, () => process.exit(exitCode))
}

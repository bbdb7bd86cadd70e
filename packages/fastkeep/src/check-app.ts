// Loads the app that its first argument names, after the modules that the others name, in a process of its own, and prints what it is as the last line.
import { importModules } from './import-modules.js'
import { loadApp } from './load-app.js'

const [app = '', ...imports] = process.argv.slice(2)
try {
  await importModules(imports)
  const { kind } = await loadApp(app)
  process.stdout.write(`\n${kind}\n`, () => process.exit(0))
} catch (error) {
  const { message = String(error), exitCode = 70 } = (error ?? {}) as { message?: string, exitCode?: number }
  process.stderr.write(`\n${message.replaceAll('\n', ' ')}\n`, () => process.exit(exitCode))
}

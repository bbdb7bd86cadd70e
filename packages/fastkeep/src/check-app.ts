// Loads the app that its argument names, in a process of its own, and prints what it is as the last line.
import { loadApp } from './load-app.js'

try {
  const { kind } = await loadApp(process.argv[2] as string)
  process.stdout.write(`\n${kind}\n`, () => process.exit(0))
} catch (error) {
  const { message = String(error), exitCode = 70 } = (error ?? {}) as { message?: string, exitCode?: number }
  process.stderr.write(`\n${message.replaceAll('\n', ' ')}\n`, () => process.exit(exitCode))
}

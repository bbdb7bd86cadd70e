// Run as the target user: reads the configuration that its argument names and prints what it says as the last line.
import { readConfigFile } from '@fastkeep/engine'
import { START_OPTIONS } from './command-options.js'

try {
  const given = await readConfigFile(process.argv[2] as string, START_OPTIONS)
  const code = given.find(({ value }) => typeof value === 'function')
  if (code !== undefined) throw new Error(`the option "${code.path}" is a function, which cannot be handed from one process to another`)
  process.stdout.write(`\n${JSON.stringify(given)}\n`)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

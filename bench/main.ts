// `pnpm bench engine`, `npm run bench -- engine --full`: runs the measures of one package against its last build.
// Exit code: 0 all targets met, 1 one missed, 64 no such bench.
import { run as engine } from './engine/main.js'
import { run as restart } from './restart/main.js'
import { run as headers } from './secure-headers/main.js'
import { run as session } from './secure-session/main.js'
import { run as tls } from './tls-context/main.js'
import { run as websocket } from './websocket/main.js'

/** Takes the rest of the command line; its result is the exit code. */
type Bench = (args: readonly string[]) => Promise<number>

const BENCHES: Readonly<Record<string, Bench>> = { engine, headers, restart, session, tls, websocket }

const [name = '', ...args] = process.argv.slice(2)
const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
if (bench === undefined) {
  process.stderr.write(`bench: ${name === '' ? 'which one?' : `there is no bench "${name}".`} There is: ${Object.keys(BENCHES).join(', ')}\n`)
  process.exit(64)
}
process.exit(await bench(args))

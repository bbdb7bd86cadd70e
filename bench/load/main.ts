// Runs one load in a process of its own until standard input ends, then prints its report as JSON.
//   node --import tsx bench/load/main.ts '{"host":"127.0.0.1","port":8080,"kind":"keep-alive","connections":16}'
import { load, type LoadOptions } from './client.js'

const options = JSON.parse(process.argv[2] ?? '{}') as LoadOptions
const end = new AbortController()
process.stdin.on('end', () => end.abort()).resume()
process.stdout.write('running\n')
console.log(JSON.stringify(await load(options, end.signal)))

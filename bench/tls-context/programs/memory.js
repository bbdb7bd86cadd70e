// What the contexts of many names cost: rss with 1,000 of them less rss with none, in KiB for each.
import { createServerContext } from '@fastkeep/tls-context'

const { cert, key } = JSON.parse(process.argv[2])
const count = 1_000
createServerContext({ cert, key })
globalThis.gc()
const before = process.memoryUsage.rss()
const names = Object.fromEntries(Array.from({ length: count }, (_value, index) => [`n${index}.example.test`, { cert, key }]))
const context = createServerContext({ cert, key, names })
globalThis.gc()
console.log((process.memoryUsage.rss() - before) / 1_024 / count, context.findings.length)

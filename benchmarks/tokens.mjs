// Counts o200k tokens: a JSON object of texts on standard input, an object of counts on standard output.
import { text } from "node:stream/consumers";
import { countTokens } from "../.node/node_modules/gpt-tokenizer/esm/encoding/o200k_base.js";

// `<|endoftext|>` and its like in a mail are text like any other.
const plain = { disallowedSpecial: new Set() };
const texts = Object.entries(JSON.parse(await text(process.stdin)));
console.log(JSON.stringify(Object.fromEntries(texts.map(([name, value]) => [name, countTokens(value, plain)]))));

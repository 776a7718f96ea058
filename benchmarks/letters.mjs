// Writes whole letters, made by the programs that send them, into the folder given: foundation-emails' templates with
// its style sheet, and mailgen's themes with each of its kinds of letter.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, folder] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const write = (name, html) => {
  mkdirSync(join(folder, name, ".."), { recursive: true });
  writeFileSync(join(folder, name), html);
};

const foundation = join(packages, "node_modules/foundation-emails");
const sheet = readFileSync(join(foundation, "dist/foundation-emails.css"), "utf8");
const { Inky } = require("inky");
const inky = new Inky();
for (const name of readdirSync(join(foundation, "templates"))) {
  const body = inky.releaseTheKraken(readFileSync(join(foundation, "templates", name), "utf8"), { decodeEntities: false });
  write(
    `foundation-emails/${name}`,
    `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<meta name="viewport" content="width=device-width"><title>${name}</title><style type="text/css">${sheet}</style></head>
<body><span class="preheader">What is in this letter, in a few words</span><table class="body"><tr>
<td class="center" align="center" valign="top"><center>${body}</center></td></tr></table></body></html>`,
  );
}

const Mailgen = require("mailgen");
const products = { name: "Example Robots", link: "https://robots.example/", copyright: "Copyright © 2026 Example Robots" };
const bodies = {
  welcome: {
    name: "Maya",
    intro: "Welcome to Example Robots! We are glad to have you with us.",
    action: { instructions: "To get started, please click here:", button: { color: "#22BC66", text: "Confirm your account", link: "https://robots.example/confirm?s=d9729feb74992cc3" } },
    outro: "Need help, or have questions? Just reply to this letter.",
  },
  receipt: {
    name: "Maya",
    intro: "Your order has been processed.",
    table: {
      data: [
        { item: "Gripper", description: "Two fingers, 4 kg", price: "€ 1,310.00" },
        { item: "Battery", description: "48 V, 30 Ah", price: "€ 420.50" },
      ],
      columns: { customWidth: { item: "20%", price: "15%" }, customAlignment: { price: "right" } },
    },
    action: { instructions: "See your order here:", button: { color: "#3869D4", text: "Go to dashboard", link: "https://robots.example/orders/17" } },
    outro: "Thank you for your purchase.",
  },
  reset: {
    name: "Maya",
    intro: "You asked for a new password.",
    dictionary: { Date: "18 November 2026", Address: "Herning, Denmark" },
    action: { instructions: "Click here to set it:", button: { color: "#DC4D2F", text: "Set a new password", link: "https://robots.example/reset?s=b350163a1a010d97" } },
    outro: "If it was not you, there is nothing to do.",
  },
};
for (const theme of ["default", "salted", "neopolitan", "cerberus"])
  for (const [name, body] of Object.entries(bodies))
    write(`mailgen/${theme}-${name}.html`, new Mailgen({ theme, product: products }).generate({ body }));

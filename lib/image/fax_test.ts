import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { unpackFax } from "./fax.ts";
import { decodeTiff, type TiffOptions } from "./tiff.ts";

/**
 * What {@linkcode runs} gives as libtiff packs it, gzipped; group 3 with every code of both tables.
 */
const FILES: Readonly<Record<string, string>> = {
  "group 3":
    "H4sIAAAAAAACA01WbWhb5xU+90P3Wt9OJrvRh2tnFCNnThG21chLMa/jNTiZDVpiNifxQN6cWGjCqCXzMsiPK4spf+aggBc8rYarzRQVTNAaO8R4P66mQt1Ru6ITxXY8uIZgSrDBPw3bYM+r+YcF0nnOeZ5z3vseve+Rrl27QKyBiL4XbXVopph4JBytN1D7mnY8YaP2ZTqeaKT8GoIxMfFA2nuiWT9NubNsitr/ctQqledp+IN5d9ocpfY/R1Xj6BYKocT7NpJrF+ihW9KEsItBMEjtelo7ftvGxIRbR2Cd2guz7KHbEhPCljdIaULKuSXU2EGN8xFItiD5OOZO7y0B6KiyVwQovQRYRLndc9DUAPQ2gCrAz7lmHmB8FGAO4rkhFHwX4GkOAE9dmI8BQFzIy5L5oBHiqgIAjf5ND0CE8pnoFtINueb7XHvoRjcKi+1gdDHh+4XWp+Yon9WL7vQBDQ+MjKrGf2BHx1B1F2BMV3lT+kuLqlGCXS6q5QnE49iZDpssqYaJeHRZNXKwI41qeRB21KOWuT8WVMujsLlOtRyF/cOgWonDXhtSy7zecFStgGdPRtQKeLabUyvIZ+acWi7CLsTUMtZhhQm1EoJ+PK5WgrB3k6rxkvLp21F3JiWExc9LrU4SE/arrE8ma7Hbqx3zFmzGJROnQM3+OywcAXiFv82y++hJdnBqtWh/hK/mjvNVXiuihhTa3arJFc1a9Cn7+3oPVOni1HpClBDyS9M3o10q9O9lDxX9tgvFrzu3N1gxgKd76n/uZIsczfufD7MDjvL+5Vn2HUev/csb7DVH+/4VJ5vn6Dv/yjCb4+iNf2WWbXF04F/ZYFW+7O6lpG9mi+8rN7Udrh9kS+hfywmuKvpfDOIxLmQPZ3DC7P1rYziT4tbUt20g1/0rnOzKHl4BKSuHXTCKcvh9brIH3/BgZnocnRLH13q5Sa/1c1NY6+CmvHaem73VVRgpvfpXbgprHyFPzfx6nV8r52uGJzS/fs5aeDvWld/66GW9o93P4qKOR7XHNnerchkHzlH+eKuqZHhLpd5VvYEnhJXpAdZV76mwMFe1M2Qo1cl4j6jzrQe92xu0yNv7Y2V6XG9Jo4xV29zokep0j3fnqvYRr9MrXR6qWnlr1NBkwicE6211HN5k7/HiLf0LS3GlTscmf5UXt+p99b5S0jle/IYy/WW94JD31XnIm4SF0jm4I96dPbjN6YUl7ia9OwW4XmGhyN0578443AZlOof5IQkLeUS16uQ9BSXfcRzwVGvmMgMpapv/4GSx+zNOdjr2OWnP9JZ4pra5GxLCQnVyjBtzsl7O/LpkyCnMLV00+7wCKfSwSyY/hpWHUmqlLSYZfV6Z+qS9XEwKtTqy1ANOkyE+R7paOU9WQt5LyuJ2d2su3O1MiN7AuUhO1qemY/QtnCbNlsKom6CrdPy2ncQ2XPUgnTUhiFAGk8tFMp9AU8QnnsiEnyKpQ7OGkDRIN5Dk0EU+dSaosQ2xMWJGfe75+NRjMm7m0QidAVVJ0o9AOXXBA8rP5BFQSToTAzVGH3AqJgRBhZmM+XJUo7M6qCG6zqk2oROUz5AxWo4S1Miw1iL1Y8YqmmAD1c3kTlBfURNfq5NGkOXQhRFQDrJhopljdA1bsJB4HVu4RE0adDFawtz2kSWO3E36QQz7JnEOghB1wJkxxQk4MRpCORw0viyp9/Q+9RG1PAYTFXJmn4d+FlBnNPuHxv0g/cklpZm8m3rLRp0ZrRQV7gYsVzSc7KCHbn0hhHTxq4AMcU/K56HbA5qhi/8MyBZq1s27Nrr4EwNf8O1KOhmklS/EalRIuixRXdwO2NLMshzx/F2zJ1MdFvIY5m9s1PHEOPDQzYF0LUilSIuo2ZKp3t9RY2MkMKM1OALWApOVxzLWEAfSnUHS5s3rNmoLRvxXtAbbY4UTlXQxKggfGlXQpnnPQ+x+6g5E70cmUKk10CVqDvyYRehZQiobltWiC5Pyl9EAbs6+/m6AbjnZaIQ+q8/NeFjAFd7EQDEs8wmx37DkE9KAZh+sKSo1/7HY4KKLA9GuR9T8adErafbRmh3KZwkLRsVWWESFZD4djdCLWfZJgO7c02+4qCMTvfyIPF8WWzKaLV5zFQxLJvpDlTzbxUBFa2gIS7mUIGT1YRe19dSsmBHyLHsaIDZUs/YbssXJduCM1JxgLLOsFiFttehTqTGAKW+K0if6C/APal0DWoM7n2Uo9t88fiLJRSRIJOAPxO9tgCe4DR/iCeZv6QRLeCun4rZT+Iwg1y3/M3L2VLzpFG4+wZ34eOtEfwkJgVOad07i/NWBuFhH/4/8D928gwXuCAAA",
  "group 3 by the row above, with rows that end at a byte":
    "H4sIAAAAAAACA02Vb2gTZxzH78lprq1NL2uTs5cmbRQZbih0xpA6Rc4JIzoLcfNFGXuRbsXVWEOcLPjCF8+Tc1c2dWTSzZguEKErp3OS9Y+2DEa6whaHZXWT0UYH122IG3UUYdC92+/35Ap9kfbz+f5+9zzP/ZJcDh16UTgrCYJA8nS1TxLI4XbAf8Sl7HaB9KRI/huyUolzuiKs9jktjhc6O8RyqdZwvktmVqzGg0GpvLKtxvoT0Tq7q8aZf4XV9gbKmdWXz8nOMmeDCfslo2hfkIrvl3R7JfY+VuI1MY7iflO29NIOcVazr9FaYXe7oscWZLZkr5zNyez32o5G0ZTZsn11aQp61i7ojcpsbY/7PTKzV81c65dZ0ObSdlm3WQ/2yBn7tJnLOVm3r2VbTXntLtgM9K/dxCsVee0eMj/C4VK1+O0e2agdTX8pJ2dqM2VL385p57oEEu1zPgtTOFE0OW1uGoRgp/F0Lg4dueRAwtFbJlGf8/HjEgRmspJwiJRE28T0Gz3wxrGJSH/YMZ8i0WY9fYYnOyLHfSyK67aI6RM3MdodOeFj8xj59fRVHt2LJHysE6OAmL7OoweRkz5W4pGenubRo8iAL7MAq3v09F2eHImc8uERvWL6LvqxyIAbVIErUAciJ1FVWBN1KJJArXNV+/ADV/5tBCYedbkWR1CzyXsw6Gi9sfwnajE5j9UGY5lXS8kK6ibjMa9ayQHUJuNpBXUlCftFZeNZEPexfhrXAhKOUtx3KYijDN3qdxQtGKW+90wUW3KhYZ+Ag/KJe6ZxA2aGxnwk64er2khh6Gc+TbXqEswmiJpZ4XMe7VAXDZrGtVtIIX+Cj1Otvkrfw8jPCqM8uqdWDXoYowAp3ODRA7X6Pe3HtQKscItHj9SHTpbFyMMKYzw6oj7cAu+nlxRKrXyeanUJXGGFm9wH1Oo1cJUUTO5DarUXvM6ZzsZxou8eN3CiznQcNRsaR63X92qoxdAYaoO+N4haCg2jbtL3lFCt0J1GnKj+MuwIEw1VOmGi+v5ZgXwMzwOPQOCzUJYNjSJYAGWEVdk4wJN5aXYr7ylKs1s4GPAECPHa30A7efYrkJdnF8nKPoVnV4Dq+WLngVycvgTycBoBUjUkhk8RC+kSUhHpQ6C2ONJHQC6eXQDy8b4hJJ59isT7PsM+ThmkINIHQCrvu47EqzeAnPx8l3E3TjdxN05fYR8/3xdAjTy7CtTKKQ9Ux2k51SF+R4naJC5p5FaXvFEgyh/0SYwMN4lMIy2ny2/Bk3asyTGjEeVo+RjIRJMDKsrp8hGQcYkEi0Tpt3ZjZZBgJWcFQSYlcXuMKKbVB2ebHHQsgExZb4LclhwmSMU6hjLoyIEsWK+DjEriVIx4KlYaZVDENkksxsjoDyJ0ud1d/gwldKach7fb7etqcYBlrdeg293irz+gEVq0TqF5/S44Ci1ZCezc7Hdhp2UdRwv4FbhlurJ0Ga3DvwtqlQfSLCXeOe0sDOVOmMxbpOWdmB8+/MN5OpUiysGYAjKWpyaIHvOAjOdpDqTXrIdv0ni31g/yidkIlYk5TQO5ZqoHKZns1irwtVW+NhXYYnJOm0CbMb1Qu92tmWj3TQ/Ubs9pI2CeGTMANtqtLaPdNwPQWUpImkU8i6YfSlSP7YE93a2JDXBQ+kvsebTmsAOe1PSq2axT4vaERTgQvW62wRPYrYTFGHROmz7s9IfFTrC/zJ3wcHS3hxuzYP+Z+APr7lg02+G+BSIKBH54LzYA2hyEPw6b8SXaLMLLuS5vWMfPkQ38fx28mtfl3nWs2LwD/my2+1Pwq+9f17PNzjfC6wXIHYJgVwThfw1YzIAmCAAA",
  "group 4":
    "H4sIAAAAAAACA63UX0hbVxwH8Psv9263yW2j6STJtTuGIt7gHSN/ajVbOZKBbU3gEjvQ6YPOtFGThcu1BGF9yCXMi7CWK47inwl3NJXQh5L5Z+rcwy17uetUQpPNP9RhWeqTjtKHMtjLspEH3/ayA9/f+Zwfv/N04Fy75kZ0HEEatSt29OXZxcMrdmz387MDxx8q+TcXfvz/+NqO/nBXsjd8f7Ruyh+sP4abLZf8hoM8OlrHhQN1ByQse2GJLBxoO+C6ZW9LIvIH03G1kTwu9sm+lmFHmWnfCO2AUcv++DquJX/xG/XB1LeP4bFzZUuixIN8XOXIk6k+OdTymaNMyxvRCSyX3HXBZeeKofLjJ59eNMsbNybwpmTJBWGy6IL9yWcuOJTccsGrLbesoNG5NAmanMtW4HYuToJm56IVvOecmwSXnXNW0OZcdcGxlr4J9NVvH129YP7LB9qYeINqfu0zopm2oxlTPpYcVr3k6GBI1rxzs1FL+7xaBAky1RWSl+37Fg+hxWI+o+bJ/PSw2ogHfEUQJlOTC7BsPvGG5E37/vgMrnlXwh5KiMUdUUbf3vEZ9U/m88MqhweiRdBFpgzJBGMJCnxMptYkkxaLU6CXTOUkEsZGKHCTTE1LGDqfZdN67JYCfPY92XgbD1yWsP7tApvWvIsKcJuPZeMM3romYYfbCTZ96F1l4G37DgPH7GU2/af3+BK848FmN/5jzTD4i+u/p19Fnov1dFhB9exzsY7uodD+h1+J5+lPKBQ+/FqspXsyaTWyxZJf8A16f6TIEia+XX9qW+nAQeRX9sxAZ5/Im3hZf2T7rgPTIvssPdCZEDkTJ+t/2BY68HxklmW+6cTlAhe+R72fJRgKZEmGKGTJe4SeJRSsO4INyk0c2q7v29K5wwQNu0U/DftEHw1F0UvD22IvDcfEn2h4RzTo6Aj+4umR9gG76kcL5d0ShU+NCnVMjwV2t970o8JLrWTC748KtUzPuHaRXQrDIemZH5V/DpUIig8KHoXvEjwUPyjwCj8q8BSfEdwKPyW4Kf6BwCn8ksBRXEYIKNyUEKC4B0Kb0uyQC63hWXmzFSU1iYEDudqg6hgh9DJxF95n0zO5moxq8+NDEragJRjYXbIE1To/DsuUBVYuFYXeyvuUPEH1Xb85XabejFAKcg61IAiKIyiCIF/SFVYNKgWr+p/gVROVkKf69ClbUeLf/a1Kak71z5/yO1U3V0pddX6t8nuwp2a4ijEEqZ4Q5G/ZQacsYgQAAA==",
  "group 4 with the lowest bit first":
    "H4sIAAAAAAACA63Ub0gbZxwH8LvnntPeZbkyzzj8U3eMJrFNLCGW5Ga3khdhtGm8Hq2TuDg4QStlXXrFNSusL+6sswobTHZI/AfZi/5hi5DGYyruxemoUxOlOAhR4nbniyAYoS/3ctctL3y3N3vg++PzPPx+z5sHnqtXzyMahiB9+MOE9Ox1R/XDRKDxj9cj/l8M690Hv/5/vJ6QPnzBJYY/HZhNWpdn74O28p0UHREGBmY1cpk4gr70dIYTLMv4EbyRnp7nGOtyfZ7oE/zZdtldnog4xaF97xHcTkd7ZzU8/lOKXlyNfXsf+Atz85xOLVvzhCIsbLTL3vLPEScv7zvGA7Z4YxC0FuZoQu1d+OisR94/P67Vxl1BAOLZIKiKXwuCuvh8ENSUb43CvsLWGKwttI7CzkLHGLxY6BiFXxR2x2BTYXcU9hSOg6C53D4unf7qvZoHnj/dsEfMDxOe627asdIzMJm0luITRE7YXvPKeG6325EeWiKy0CfENr1yayKaDjN4qeSmrzxaqp8g+rSiOwszQmysHzg9Czmv3JaI9k5qeG4uE9bJUj7iELHBIze9+GjJOkEoWtGRhZtCjOaSoOTT4Y9C7AyXxEt5He4JMRsngFKXDp8KsXouIC3ZWRQr3TKgOzEt099pxSYuUDVoYVE812HATo9fpl9pM2e4QPWgj0Wrc8ciuJA4EkFzwsmi7+b8d8DlcKB7/z/WpKg9vvEbejp0iVrkM4aE2S9Rh/yULlU9OUc95z/RJfDkfWqdn1pBidA8K/ygDmNVoSzLJNUh7GbL3IEGQ5+xr0Z22ik1qcrYxy2fHwTwUJTlR3Z8lJJUZOzLlv4DzRrqZsWvdzTZomTu6W/ZGVGHdkFkLHbhHoPZGSPQEAqsybWKNIRFW1BbtY8HDVSKB+2UmwcUlePBBWqPB83U9zy4TNG8o0t7fHMA/4A9TkkWZ6NL1za2yUNxKg0aZp6mJPIZ7kpqt7fJdXGqFz/LbmVAHXctJcm/e12Mrq6SYUPdJMO6ukaqhrpNqrq6QnYa6gbZqasvScVQt0hFV1bIoqFskEVdeUn2GBcjsmUm0y23zUgCzolgxLa+SkS6GMzJvAC3WXTSdmWFaElpdVygH/eJoMGVXiUOUxpw6mlgDmXJPfN9XOFV4q+UB3Xqd7t0AzklWREExRAUQZBvSJMVM2YBFb8JVjE0U3XinKwYmHkbhf/4lJmaEz22E66r2G2Wdyr9i+bv0XSi55zpN/f9u0OQvwEkREX6YgQAAA==",
};
const WIDTH = 2_700;
const OPTIONS: TiffOptions = { maxPixels: 1e6, jpeg: () => Promise.reject(new Error("no JPEG")) };

/** Rows with two runs of every length that has a code of its own, and of some that take two. */
function runs(): Uint8Array {
  const long = Array.from({ length: 40 }, (_, n) => 64 * (n + 1));
  const lengths = [
    ...Array.from({ length: 64 }, (_, n) => n),
    ...long,
    ...long.map((length) => length + 63),
  ];
  const out = new Uint8Array(WIDTH * lengths.length * 2).fill(255);
  lengths.forEach((length, y) => {
    out.fill(0, y * WIDTH + length, y * WIDTH + Math.min(WIDTH, 2 * length));
    const below = (lengths.length + y) * WIDTH;
    out.fill(0, below, below + length + 1);
  });
  return out;
}

for (const [name, file] of Object.entries(FILES)) {
  Deno.test(`decodeTiff() reads a fax of ${name}`, async () => {
    const bytes = new Uint8Array(gunzipSync(Uint8Array.fromBase64(file)));
    const { width, height, channels, data } = await decodeTiff(bytes, OPTIONS);
    assert.deepEqual([width, height, channels], [WIDTH, 288, 1]);
    assert.ok(Buffer.from(data).equals(runs()));
  });
}

Deno.test("unpackFax() reads runs without marks, each row from a byte on", () => {
  // 3 white and 5 black, then 8 white.
  const [packed, room] = [Uint8Array.of(0b1000_0011, 0b1001_1000), new Uint8Array(2)];
  const form = { compression: 2, twoDimensional: false, width: 8 } as const;
  assert.equal(unpackFax(packed, room, form), 2);
  assert.deepEqual(room, Uint8Array.of(0b0001_1111, 0));
});

Deno.test("unpackFax() ends at any bytes, with whole rows that fit", () => {
  const anything = fc.record({
    bytes: fc.uint8Array({ maxLength: 60 }),
    width: fc.integer({ min: 1, max: 90 }),
    compression: fc.constantFrom(2 as const, 3 as const, 4 as const),
    twoDimensional: fc.boolean(),
    room: fc.integer({ min: 0, max: 200 }),
  });
  fc.assert(fc.property(anything, ({ bytes, room, ...form }) => {
    const stride = Math.ceil(form.width / 8);
    const given = new Uint8Array(room + 1).fill(7);
    const length = unpackFax(bytes, given.subarray(0, room), form);
    assert.equal(length % stride, 0);
    assert.ok(length <= room);
    // Nothing is written beside the rows.
    assert.equal(given[room], 7);
  }));
});

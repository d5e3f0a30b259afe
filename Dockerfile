# The program as one executable on distroless: no shell, no package manager, user 65532.
# 103 MB unpacked, 39 MB as it is pushed; docs/OPERATIONS.md says what each layer weighs.
#
#   docker build --build-arg BUILD_COMMIT=$(git rev-parse HEAD) \
#     --build-arg BUILD_DATE=$(TZ=UTC git log -1 --date=format-local:%F --format=%cd) -t pseudolabel .

# Runs on the machine that builds; executables of other processors are made there, too.
FROM --platform=$BUILDPLATFORM denoland/deno:debian-2.9.6 AS build
ENV DENO_DIR=/deno-dir DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
WORKDIR /app

# Packages and the bundler, in a layer that outlives every change of the sources.
COPY deno.json deno.lock ./
RUN printf 'import "%s";\n' @aws-sdk/client-s3 @aws-sdk/client-secrets-manager \
      @jsquash/jpeg/codec/dec/mozjpeg_dec.js @jsquash/webp/codec/dec/webp_dec.js csv-parse htmlparser2 \
      hyparquet hyparquet-compressors hyparquet-writer jpeg-js zod > packages.ts && \
    deno cache packages.ts && \
    deno bundle --quiet packages.ts > /dev/null && \
    rm packages.ts

COPY main.ts ./
COPY lib lib
COPY dev/build/compile.ts dev/build/bundle.ts dev/build/plan.ts dev/build/
ARG TARGETARCH
ARG BUILD_COMMIT=""
ARG BUILD_DATE=""
RUN deno run --config deno.json --allow-all dev/build/compile.ts --container \
      ${TARGETARCH:+--target "linux-$(echo "$TARGETARCH" | sed s/amd64/x64/)"}

# Lends one library: `cc` is `base-nossl` with OpenSSL and the libraries of C++ besides, 12 MB that
# nothing uses.
FROM gcr.io/distroless/cc-debian13:nonroot AS cc

# The tag moves with Debian's security updates. For images that never change, pin both by the digest
# that `docker buildx imagetools inspect gcr.io/distroless/base-nossl-debian13:nonroot` prints.
FROM gcr.io/distroless/base-nossl-debian13:nonroot
# All that Deno needs beside the C library. The loader looks there whatever the processor, and the
# folder's name has the processor in it.
COPY --from=cc /usr/lib/*-linux-gnu/libgcc_s.so.1 /usr/lib/
COPY --from=build /app/bin/pseudolabel /usr/local/bin/pseudolabel
# Without HOME the AWS SDK looks for a name in a passwd file, and fails where there is none.
ENV HOME=/home/nonroot
USER 65532:65532
# The program's own signal to stop in good order; it reaches process 1 only without a shell between.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/pseudolabel"]

ARG BUILD_COMMIT=""
ARG BUILD_DATE=""
ARG SOURCE=""
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="pseudolabel" \
      org.opencontainers.image.description="OCR pseudo-labels for image data sets, from S3 to S3" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${BUILD_COMMIT}" \
      org.opencontainers.image.created="${BUILD_DATE}"

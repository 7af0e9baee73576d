# Reads an export of ThighSeg and fits the trend that the cohort page shows. Base R, and nlme, which comes with R.
#   Rscript read.R FOLDER REGION SIDE METRIC [EXTENT]
# FOLDER is the unpacked export; for example: Rscript read.R . extensor both volume full
library(nlme)

read_thighseg <- function(folder, table) {
  read.csv(file.path(folder, paste0(table, ".csv")), na.strings = "NA", stringsAsFactors = FALSE,
           colClasses = c(subject_id = "character"))
}

trend_data <- function(long, region, side, metric, extent = "full") {
  rows <- long[long$region == region & long$side == side & long$metric == metric & long$extent == extent &
                 !is.na(long$value) & !is.na(long$visit_date) & long$review_status != "rejected", ]
  rows$date <- as.Date(rows$visit_date)
  # of several scans in a visit the last stored counts: long.csv has them in the order they were stored
  rows <- rows[!duplicated(rows[, c("subject_id", "visit")], fromLast = TRUE), ]
  rows$years <- as.numeric(rows$date - as.Date(ave(as.character(rows$date), rows$subject_id, FUN = min))) / 365.25
  rows
}

fit_trend <- function(rows) {
  # As on the page: sex in the model where there are women and men, and a slope of each subject's own where ten subjects
  # have three visits and that model is not singular.
  fixed <- value ~ years
  if (all(c("female", "male") %in% rows$sex)) {
    rows <- rows[rows$sex %in% c("female", "male"), ]
    rows$male <- as.numeric(rows$sex == "male")
    fixed <- value ~ years + male
  }
  control <- lmeControl(opt = "optim", maxIter = 500, msMaxIter = 500)
  if (sum(table(rows$subject_id) >= 3) >= 10) {
    fit <- try(lme(fixed, random = ~ years | subject_id, data = rows, method = "REML", control = control), silent = TRUE)
    if (!inherits(fit, "try-error")) {
      spread <- as.matrix(getVarCov(fit))
      if (abs(cov2cor(spread)[1, 2]) < 0.999 && min(diag(spread)) > 1e-8 * fit$sigma^2) return(fit)
    }
  }
  lme(fixed, random = ~ 1 | subject_id, data = rows, method = "REML", control = control)
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) >= 4) {
  long <- read_thighseg(arguments[1], "long")
  wide <- read_thighseg(arguments[1], "wide")
  scans <- read_thighseg(arguments[1], "scans")
  stopifnot(all(wide$scan_id %in% scans$scan_id), is.numeric(long$value))
  rows <- trend_data(long, arguments[2], arguments[3], arguments[4], if (length(arguments) > 4) arguments[5] else "full")
  fit <- fit_trend(rows)
  table <- summary(fit)$tTable
  limits <- intervals(fit, which = "fixed")$fixed
  cat(sprintf("values %d subjects %d random_slope %s\n", fit$dims$N, fit$dims$ngrps[["subject_id"]],
              ncol(ranef(fit)) > 1))
  cat(sprintf("change per year %.10g %s, standard error %.10g, 95%% CI %.10g to %.10g, df %d, p %.6g\n",
              table["years", "Value"], rows$unit[1], table["years", "Std.Error"], limits["years", "lower"],
              limits["years", "upper"], as.integer(table["years", "DF"]), table["years", "p-value"]))
}
